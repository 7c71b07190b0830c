"""Learned optimizers inside optax: decay, clipping, schedules, groups, accumulation, freezing, reduced precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.rules import AdafacMLP, CeloAdam, accumulate_to_horizon

RULE = AdafacMLP(step_mult=0.01)
THETA = RULE.init(jax.random.key(0))
PARAMS = {"head": {"w": jnp.arange(6.0).reshape(2, 3) / 6 - 0.4}, "body": {"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}}
GRADIENTS = jax.tree.map(lambda p: jnp.cos(p + 1), PARAMS)


def learned(num_steps=100):
    return RULE.optimizer(THETA, num_steps)


def run(optimizer, num_updates, params=PARAMS):
    """Updates of one optimizer on a fixed gradient, stacked."""

    def step(state, _):
        updates, state = optimizer.update(GRADIENTS, state, params, value=jnp.float32(1.0))
        return state, updates

    return jax.jit(lambda state: jax.lax.scan(step, state, length=num_updates)[1])(optimizer.init(params))


@functools.cache
def bare():
    return run(learned(), 4)


def assert_close(ours, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-8), ours, expected)


def test_schedule_on_top():
    schedule = optax.linear_schedule(1.0, 0.0, 4)
    scheduled = run(optax.chain(learned(), optax.scale_by_schedule(schedule)), 4)
    factors = jnp.asarray([schedule(step) for step in range(4)])
    assert_close(scheduled, jax.tree.map(lambda u: u * factors.reshape(-1, *(1,) * (u.ndim - 1)), bare()))


def test_decoupled_weight_decay():
    decayed = run(optax.chain(learned(), optax.add_decayed_weights(-0.1)), 4)
    assert_close(decayed, jax.tree.map(lambda u, p: u - 0.1 * p[None], bare(), PARAMS))


def test_clipping_before():
    norm = float(optax.tree.norm(GRADIENTS))
    clipped = run(optax.chain(optax.clip_by_global_norm(norm / 2), learned()), 1)
    halved = learned().update(jax.tree.map(lambda g: g / 2, GRADIENTS), learned().init(PARAMS), PARAMS)[0]
    assert_close(jax.tree.map(lambda u: u[0], clipped), halved)


def test_groups_by_label_and_frozen_ones():
    groups = optax.partition(
        {"learned": learned(), "sgd": optax.sgd(0.1), "frozen": optax.set_to_zero()},
        {"head": "sgd", "body": {"w": "learned", "b": "frozen"}},
    )
    updates = run(groups, 4)
    np.testing.assert_allclose(updates["head"]["w"][0], -0.1 * GRADIENTS["head"]["w"], rtol=1e-6)
    np.testing.assert_array_equal(updates["body"]["b"], 0.0)
    assert_close(updates["body"]["w"], bare()["body"]["w"])  # this rule treats every tensor on its own


def test_accumulation_by_optax():
    steps = optax.MultiSteps(learned(), every_k_schedule=2).gradient_transformation()
    with jax.numpy_dtype_promotion("standard"):  # optax divides by an integer
        accumulated = run(steps, 4)
    for call in (0, 2):
        assert all(np.all(u[call] == 0) for u in jax.tree.leaves(accumulated))
    assert_close(jax.tree.map(lambda u: u[1::2], accumulated), jax.tree.map(lambda u: u[:2], bare()))


def test_accumulation_to_a_horizon_averages_gradients_and_losses():
    rule = CeloAdam(lstm_hidden_size=4)
    theta = rule.init(jax.random.key(1))
    make = functools.partial(rule.optimizer, theta)
    params = {"w": jnp.ones((2, 3))}
    gradients, losses = jax.random.normal(jax.random.key(2), (6, 2, 3)), jnp.array([3.0, 1.0, 2.0, 2.5, 0.5, 4.0])

    def train(optimizer, gradients, losses):
        def step(state, inputs):
            updates, state = optimizer.update({"w": inputs[0]}, state, params, value=inputs[1])
            return state, updates["w"]

        return jax.lax.scan(step, optimizer.init(params), (gradients, losses))[1]

    ours = train(accumulate_to_horizon(make, num_steps=6, trained_horizon=2), gradients, losses)
    means = gradients.reshape(2, 3, 2, 3).mean(1), losses.reshape(2, 3).mean(1)
    np.testing.assert_allclose(ours[2::3], train(make(2), *means), rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(ours[jnp.array([0, 1, 3, 4])], 0.0)


def test_within_the_horizon_nothing_is_accumulated():
    assert accumulate_to_horizon(lambda n: optax.sgd(n / 10), 6, 6).init(PARAMS) == optax.sgd(0.1).init(PARAMS)
    for fields, message in (((0, 5), "num_steps must be >= 1, got 0"), ((5, 0), "trained_horizon must be >= 1, got 0")):
        with pytest.raises(ValueError, match=message):
            accumulate_to_horizon(optax.sgd, *fields)


@pytest.mark.parametrize("wrap", [lambda o: o, lambda o: accumulate_to_horizon(lambda _: o, 6, 3)])
def test_bfloat16_parameters_keep_float32_statistics(wrap):
    optimizer = wrap(learned())
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    updates, state = jax.eval_shape(optimizer.update, params, jax.eval_shape(optimizer.init, params), params)
    assert {x.dtype for x in jax.tree.leaves(updates)} == {jnp.dtype(jnp.bfloat16)}
    assert {x.dtype for x in jax.tree.leaves(state)} == {jnp.dtype(jnp.float32), jnp.dtype(jnp.int32)}
