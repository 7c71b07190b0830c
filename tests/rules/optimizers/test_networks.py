"""The network of learned optimizers: blocks, means, and gradients through them, against the plain equations."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.rules.optimizers import blocks, networks

WIDTH = 12
SHAPES = {"of rows": (24, 20), "of a stack": (3, 8, 64), "of a vector": (1024,)}


def plain(inputs, layers):
    """The equations, with an array of all channels."""
    big, row, moments = inputs
    channels = jnp.stack([jnp.broadcast_to(x, big.shape) for x in (big, row, *moments)])
    axes = tuple(range(1, channels.ndim))
    channels = channels / jnp.sqrt(1e-5 + jnp.mean(channels**2, axis=axes, keepdims=True))
    for i, (weight, bias) in enumerate(layers):
        channels = channels if i == 0 else jax.nn.relu(channels)
        channels = jnp.tensordot(weight, channels, axes=(0, 0)) + bias.reshape(-1, *(1,) * big.ndim)
    return channels


def packed(inputs):
    big, row, moments = inputs
    return [big[None], row[None], moments]


def problem(shape, width=WIDTH):
    keys = jax.random.split(jax.random.key(0), 6)
    inputs = (
        jax.random.normal(keys[0], shape),
        jax.random.normal(keys[1], (*shape[:-1], 1)),
        jax.random.normal(keys[2], (2, *shape)),
    )
    sizes = (4, width, width, 2)
    weights = [jax.random.normal(key, sizes[i : i + 2]) / 2 for i, key in enumerate(keys[3:])]
    return inputs, [(weight, 0.1 * weight[0]) for weight in weights]


def assert_equals_plain(inputs, layers):
    """Outputs and gradients."""

    def network(inputs, layers):
        return jnp.stack(networks.normalised_mlp(packed, inputs, layers, epsilon=1e-5))

    def loss(function, *arguments):
        return jnp.sum(jnp.sin(function(*arguments)))

    np.testing.assert_allclose(jax.jit(network)(inputs, layers), plain(inputs, layers), atol=2e-5)
    ours = jax.jit(jax.grad(lambda *x: loss(network, *x), argnums=(0, 1)))(inputs, layers)
    expected = jax.grad(lambda *x: loss(plain, *x), argnums=(0, 1))(inputs, layers)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4 * max(np.abs(b).max(), 1.0)), ours, expected)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_blocks_change_neither_outputs_nor_gradients(shape, monkeypatch):
    monkeypatch.setattr(networks, "WIDE_BLOCK", 100)
    monkeypatch.setattr(networks, "LARGEST_WIDE_BLOCK", 200)
    assert math.prod(shape) > 200
    assert blocks._blocks(shape, 100) is not None
    assert_equals_plain(*problem(shape))


@pytest.mark.parametrize("width", [4, WIDTH])
@pytest.mark.parametrize(("shape", "short"), [((24, 10), True), ((24, 20), False), ((10,), False)])
def test_products_for_short_rows_change_neither_outputs_nor_gradients(shape, short, width):
    assert networks._has_short_rows(shape) == short
    assert_equals_plain(*problem(shape, width))


def test_means_are_in_the_order_of_channels():
    channels = [jnp.full((2, 3, 1), 2.0), jnp.full((1, 3, 4), 1.0), jnp.full((1, 1, 4), 3.0)]
    np.testing.assert_allclose(networks.mean_squares(channels), [4.0, 4.0, 1.0, 9.0])
    np.testing.assert_allclose(networks.element_means(channels), [2.0, 2.0, 1.0, 3.0])
