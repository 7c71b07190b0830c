import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import SupervisedTraining
from heurax.inner.mixed_mode import mixed_mode_value_and_grad
from heurax.outer import FullGradient
from heurax.tasks import ImageMLP
from problems import TinyOptimizer

PLAIN = SupervisedTraining(
    rule=TinyOptimizer(),
    task=ImageMLP(width=(32, 32), depth=(3, 3), activations=("tanh",)),
    num_steps=8,
)
MIXED = dataclasses.replace(PLAIN, mixed_mode=True)


def assert_close(ours, theirs):
    """To 1e-5 of each leaf's largest number."""
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(b).max())


def test_all_second_derivatives_with_the_mixed_ones():
    """Cotangents of both the loss and the gradient; inputs of which some weigh examples and some are integers."""

    def loss_fn(params, inputs):
        weights, x, labels = inputs
        logits = jnp.tanh(x @ params["hidden"]) @ params["output"]
        losses = -jax.nn.log_softmax(logits)[jnp.arange(5), labels]
        return jnp.sum(jax.nn.softmax(weights) * losses)

    keys = jax.random.split(jax.random.key(0), 5)
    params = {"hidden": jax.random.normal(keys[0], (4, 6)), "output": jax.random.normal(keys[1], (6, 3))}
    v = jax.tree.map(lambda p: jax.random.normal(keys[2], p.shape), params)
    labels = jnp.array([0, 1, 2, 1, 0])

    def meta_loss(value_and_grad, params, weights, x):
        loss, gradient = value_and_grad(params, (weights, x, labels))
        products = jax.tree.map(lambda a, b: jnp.sum(jnp.sin(a) * b), gradient, v)
        return loss**2 + sum(jax.tree.leaves(products))

    def mixed(params, inputs):
        return mixed_mode_value_and_grad(loss_fn, params, inputs)

    arguments = (params, jax.random.normal(keys[3], (5,)), jax.random.normal(keys[4], (5, 4)))
    ours, theirs = (
        jax.jit(jax.value_and_grad(lambda *args, f=f: meta_loss(f, *args), argnums=(0, 1, 2)))(*arguments)
        for f in (mixed, jax.value_and_grad(loss_fn))
    )
    assert_close(ours, theirs)
    assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(theirs[1]))


def test_gradients_through_training_are_those_of_plain_reverse_mode():
    """For parameters, optimizer state and meta-parameters, over two steps, the loss of each step among the outputs."""
    theta = PLAIN.rule.init(jax.random.key(0))
    start = PLAIN.init(theta, jax.random.key(1))

    def meta_loss(inner, theta, params, optimizer_state):
        state = dataclasses.replace(start, params=params, optimizer_state=optimizer_state)
        state, first = inner.step(theta, state, jax.random.key(2))
        state, second = inner.step(theta, state, jax.random.key(3))
        squares = jax.tree.map(lambda m: jnp.sum(m**2), state.optimizer_state)
        return (
            first.loss + second.loss + inner.meta_loss(theta, state, jax.random.key(4)) + sum(jax.tree.leaves(squares))
        )

    momentum = jax.tree.map(lambda p: 0.1 * jnp.cos(p), start.params)
    ours, theirs = (
        jax.jit(jax.grad(lambda *args, i=inner: meta_loss(i, *args), argnums=(0, 1, 2)))(theta, start.params, momentum)
        for inner in (MIXED, PLAIN)
    )
    assert_close(ours, theirs)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_memory_is_under_half_for_eight_steps_of_a_four_layer_mlp(activation):
    """Also of ReLUs, of which plain reverse mode keeps less: they have no second derivative."""
    theta = PLAIN.rule.init(jax.random.key(0))

    def temporaries(inner):
        inner = dataclasses.replace(inner, task=dataclasses.replace(inner.task, activations=(activation,)))
        program = jax.jit(lambda theta, key: FullGradient(1).estimate(inner, theta, None, key)[0])
        return program.lower(theta, jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    assert temporaries(MIXED) < 0.5 * temporaries(PLAIN)


def test_inner_gradients_are_kept_not_computed_again(monkeypatch):
    """What is computed again has no matrix products in it."""
    theta = MIXED.rule.init(jax.random.key(0))

    def products():
        program = jax.jit(lambda key: FullGradient(1).estimate(MIXED, theta, None, key)[0].gradient)
        return program.lower(jax.random.key(0)).as_text().count("dot_general")

    ours = products()
    monkeypatch.setattr("heurax.inner.supervised.keep_only_gradients", lambda step_fn: step_fn)
    assert ours == products() > 0
