import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.outer.perturbation import SigmaSchedule, sample_noise
from heurax.outer.trees import from_vector

NUM_PAIRS = 1000


def es_cosine(rank, seed):
    """The cosine between the antithetic estimate of a linear objective on 32 x 32 matrices and its gradient."""
    key_target, key_noise = jax.random.split(jax.random.key(seed))
    target = jax.random.normal(key_target, (32, 32))
    noise = jax.vmap(lambda key: sample_noise(key, target, 1.0, rank))(jax.random.split(key_noise, NUM_PAIRS))
    slopes = jnp.sum(noise * target.ravel()[None], axis=1)  # (L+ - L-) / 2
    estimate = jnp.mean(slopes[:, None] * noise, axis=0).reshape(32, 32)
    return jnp.sum(estimate * target) / jnp.linalg.norm(estimate) / jnp.linalg.norm(target), estimate


def test_rank_one_keeps_the_cosine_of_full_rank():
    cosines = {
        rank: np.mean(jax.jit(jax.vmap(lambda seed, rank=rank: es_cosine(rank, seed)[0]))(jnp.arange(8)))
        for rank in (1, 2, None)
    }
    np.testing.assert_allclose([cosines[1], cosines[None]], [0.687, 0.705], atol=0.02)  # published check
    assert cosines[1] >= 0.95 * cosines[None]
    assert np.linalg.matrix_rank(es_cosine(1, 0)[1]) == 32  # the average of rank-one perturbations has full rank


@pytest.mark.parametrize("rank", [1, 4])
def test_low_rank_noise_has_unit_covariance_and_the_rank_asked_for(rank):
    theta = {"matrix": jnp.zeros((6, 5)), "stack": jnp.zeros((2, 6, 5)), "vector": jnp.zeros(5)}
    draw = lambda key: from_vector(sample_noise(key, theta, 0.5, rank), theta)  # noqa: E731
    one = draw(jax.random.key(0))
    assert np.linalg.matrix_rank(one["matrix"]) == rank
    assert (np.linalg.matrix_rank(one["stack"]) == rank).all()
    many = jax.vmap(draw)(jax.random.split(jax.random.key(1), 20000))
    for leaf in many.values():
        flat = np.asarray(leaf).reshape(20000, -1)
        # The variance of products of normals is heavy-tailed: five of its standard errors.
        np.testing.assert_allclose(flat.T @ flat / 20000, 0.25 * np.eye(flat.shape[1]), atol=0.03)


def test_full_rank_where_low_rank_saves_nothing():
    theta = jnp.zeros((3, 3))
    key = jax.random.key(0)
    np.testing.assert_array_equal(sample_noise(key, theta, 0.1, rank=3), sample_noise(key, theta, 0.1))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("constant", [1, 1, 1]),
        ("linear", [1, 0.52, 0.04]),
        ("cosine", [1, 0.52, 0.04]),
        ("exponential", [1, 0.2, 0.04]),
    ],
)
def test_sigma_schedules(kind, expected):
    schedule = SigmaSchedule(kind, final_fraction=0.04, num_steps=10)
    fractions = [schedule.fraction(jnp.int32(step)) for step in (0, 5, 10)]
    np.testing.assert_allclose(fractions, expected, rtol=1e-5)
    np.testing.assert_allclose(schedule.fraction(jnp.int32(99)), expected[-1], rtol=1e-5)


def test_fields_are_checked():
    with pytest.raises(ValueError, match="final_fraction must be in"):
        SigmaSchedule("linear", final_fraction=0.0)
    with pytest.raises(ValueError, match="num_steps must be >= 1, got 0"):
        SigmaSchedule("linear", num_steps=0)
