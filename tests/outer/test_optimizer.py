"""The outer optimizer on a vector is optax's on a tree."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.outer import OuterOptimizer
from heurax.outer.optimizer import ELEMENTWISE

THETA = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.array([0.5, -2.0])}
GRADIENTS = [jax.tree.map(lambda x, s=s: jnp.sin(x + s), THETA) for s in range(3)]


def run(transformation, theta, gradients):
    state = transformation.init(theta)
    for gradient in gradients:
        updates, state = transformation.update(gradient, state, theta)
        theta = optax.apply_updates(theta, updates)
    return theta


@pytest.fixture(autouse=True)
def optax_is_not_strict():
    """It mixes dtypes and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("name", [*sorted(ELEMENTWISE), "lamb"])  # lamb has a norm for each leaf, and gets the tree
def test_equals_optax(name):
    optimizer = OuterOptimizer(name, learning_rate=0.1, warmup_steps=1, clip_norm=0.5)
    expected = optax.chain(optax.clip_by_global_norm(0.5), getattr(optax, name)(optimizer.learning_rates(20)))
    ours, theirs = (run(t, THETA, GRADIENTS) for t in (optimizer.build(20), expected))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs)


def test_a_theta_without_numbers():
    assert run(OuterOptimizer().build(100), {}, [{}]) == {}
