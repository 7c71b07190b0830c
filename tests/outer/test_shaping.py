import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from heurax.inner import InfluenceBalancing
from heurax.outer import FullES, PersistentES
from heurax.outer.shaping import shape_losses
from heurax.runs.devices import tasks_mesh

LOSSES = jnp.array([[1.0, 4.0], [2.0, 2.0], [8.0, 3.0]])


@pytest.mark.parametrize(
    ("shaping", "expected"),
    [
        ("none", [[1, 4], [2, 2], [8, 3]]),
        ("sign", [[-1, 1], [-1, -1], [1, 1]]),  # the median is 2.5
        ("centred_rank", [[-0.5, 0.3], [-0.2, -0.2], [0.5, 0.1]]),
        ("z_score", (np.array([[1, 4], [2, 2], [8, 3]]) - 10 / 3) / np.std([1, 4, 2, 2, 8, 3])),
        ("per_pair_winner", [[0, 1], [0.5, 0.5], [1, 0]]),
    ],
)
def test_shaping_by_hand(shaping, expected):
    np.testing.assert_allclose(shape_losses(LOSSES, shaping), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shaping", ["sign", "centred_rank", "z_score", "per_pair_winner"])
def test_losses_that_are_not_finite_count_as_the_worst(shaping):
    broken = jnp.array([[1.0, jnp.nan], [2.0, 2.0], [jnp.inf, 3.0]])
    worst = jnp.array([[1.0, 3.0], [2.0, 2.0], [3.0, 3.0]])
    np.testing.assert_array_equal(shape_losses(broken, shaping), shape_losses(worst, shaping))


@pytest.mark.parametrize("shaping", ["sign", "centred_rank", "z_score", "per_pair_winner"])
def test_shaping_spans_all_devices(shaping):
    """4 devices and 1 agree: losses are compared over all tasks, and each is given its own."""
    inner = InfluenceBalancing(num_steps=10)
    estimator = FullES(num_tasks=16, sigma=0.3, shaping=shaping)
    theta = jnp.float32(0.5)

    def gradient(key, axis_name=None):
        state = estimator.init(inner, theta, key, axis_name)
        return estimator.estimate(inner, theta, state, key, axis_name)[0].gradient

    mesh = tasks_mesh(16)
    assert mesh.size == 4
    sharded = jax.shard_map(
        lambda key: gradient(key, "tasks"),
        mesh=mesh,
        in_specs=PartitionSpec(),
        out_specs=PartitionSpec(),
        check_vma=False,
    )
    key = jax.random.key(0)
    one = jax.jit(gradient)(key)
    np.testing.assert_allclose(jax.jit(sharded)(key), one, rtol=1e-5)
    assert one > 0  # as the true gradient


@pytest.mark.parametrize("shaping", ["sign", "centred_rank", "z_score", "per_pair_winner"])
def test_shaped_descent_reaches_the_optimum(shaping):
    """Whatever the shape, sign descent on the shaped estimate ends where the loss is least (theta* of the mean)."""
    inner = InfluenceBalancing(num_steps=20)
    estimator = FullES(num_tasks=16, sigma=0.05, shaping=shaping)

    def step(theta, key):
        estimate, _ = estimator.estimate(inner, theta, None, key)
        return theta - 0.01 * jnp.sign(estimate.gradient), estimate.loss

    _, losses = jax.jit(lambda key: jax.lax.scan(step, jnp.float32(0.5), jax.random.split(key, 100)))(jax.random.key(0))
    assert losses[-20:].mean() < 0.7 * losses[0]


def test_a_pair_that_is_not_finite_contributes_nothing():
    estimator = FullES(num_tasks=2, sigma=0.1)
    inner = InfluenceBalancing(num_steps=4)
    estimate, _ = estimator.estimate(inner, jnp.float32(3e38), None, jax.random.key(0))
    assert estimate.gradient == 0
    assert estimate.metrics["nonfinite"] == 1


def test_fields_are_checked():
    with pytest.raises(ValueError, match="rank must be >= 1 or null, got 0"):
        PersistentES(rank=0)
    with pytest.raises(ValueError, match="sigma must be > 0, got 0"):
        PersistentES(sigma=0.0)
    assert dataclasses.replace(PersistentES(), shaping="z_score").shaping == "z_score"
