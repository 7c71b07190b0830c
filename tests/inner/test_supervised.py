"""Supervised training as an inner loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.inner import SupervisedTraining
from heurax.rules import OptaxOptimizer
from heurax.tasks import Quadratic


def lifetime(inner, theta, key):
    key_init, key_steps = jax.random.split(key)
    state = inner.init(theta, key_init)
    return jax.lax.scan(lambda s, k: inner.step(theta, s, k), state, jax.random.split(key_steps, inner.num_steps))


def test_equals_an_ordinary_optax_loop():
    task = Quadratic(noise=0.1)
    inner = SupervisedTraining(OptaxOptimizer("sgd", 0.1, {"momentum": 0.9}), task, num_steps=7)
    theta = inner.rule.init(jax.random.key(0))
    key_init, key_steps = jax.random.split(jax.random.key(1))
    state, results = lifetime(inner, theta, jax.random.key(1))

    start = inner.init(theta, key_init)
    optimizer = optax.sgd(0.1, momentum=0.9)
    params, optimizer_state = start.params, optimizer.init(start.params)
    for step, key in enumerate(jax.random.split(key_steps, 7)):
        batch = task.batch(start.task, key)
        loss, gradient = jax.value_and_grad(task.loss, argnums=1)(start.task, params, batch)
        np.testing.assert_allclose(results.loss[step], loss, rtol=1e-5)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(state.params, params, rtol=1e-5)
    np.testing.assert_allclose(
        inner.meta_loss(theta, state, jax.random.key(2)), task.loss(start.task, params, jnp.zeros(10)), rtol=1e-5
    )


def test_divergence_is_capped_and_counted():
    inner = SupervisedTraining(OptaxOptimizer("sgd", 1e6), Quadratic(), num_steps=20, loss_cap=5.0)
    theta = inner.rule.init(jax.random.key(0))
    state, results = jax.jit(lambda: lifetime(inner, theta, jax.random.key(1)))()
    assert not np.isfinite(state.params).all()
    assert float(results.loss.max()) == 5.0
    assert results.metrics["diverged"][-1] == 1.0
    assert inner.meta_loss(theta, state, jax.random.key(2)) == 5.0


@pytest.mark.parametrize(("fields", "message"), [({"num_steps": 0}, "num_steps"), ({"loss_cap": 0.0}, "loss_cap")])
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        SupervisedTraining(**fields)
