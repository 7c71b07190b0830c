"""Estimators that reuse noise, guided ones, and what all evolutionary ones have in common."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InfluenceBalancing
from heurax.outer import (
    ConstantLength,
    ESSingle,
    FullES,
    FullGradient,
    GuidedES,
    NoiseReuseES,
    PersistentES,
    SigmaSchedule,
)
from problems import small_training

TRUE_GRADIENT = 32.0852  # of the mean loss over 100 steps at theta = 0.5
INFLUENCE = InfluenceBalancing()
NUM_RUNS = 40


@functools.partial(jax.jit, static_argnums=(0, 1))
def estimates(estimator, inner):
    """Gradients `[runs, windows of one lifetime, ...]` of independent runs, after one lifetime of warm-up."""
    theta = inner.rule.init(jax.random.key(0))
    windows = inner.num_steps // getattr(estimator, "window", inner.num_steps)
    if isinstance(estimator, FullES | GuidedES):
        windows = 1

    def run(key):
        def body(state, key):
            estimate, state = estimator.estimate(inner, theta, state, key)
            return state, estimate.gradient

        keys = jax.random.split(jax.random.fold_in(key, 1), 2 * windows)
        _, gradients = jax.lax.scan(body, estimator.init(inner, theta, key), keys)
        return jax.tree.map(lambda g: g[windows:], gradients)

    return jax.vmap(run)(jax.random.split(jax.random.key(3), NUM_RUNS))


def lifetime_means(estimator, inner):
    return jax.tree.map(lambda g: np.mean(g, axis=1), estimates(estimator, inner))


def assert_unbiased(samples, expected):
    """The mean of independent samples is within four standard errors of the truth, and those are under 5% of it."""
    error = np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    assert abs(samples.mean() - expected) < 4 * error
    assert error < 0.05 * abs(expected)


@pytest.mark.parametrize(
    "estimator",
    [
        NoiseReuseES(num_tasks=200, window=5, sigma=0.1),
        NoiseReuseES(num_tasks=200, window=5, reuse=20, sigma=0.1),
        NoiseReuseES(
            num_tasks=200, window=5, reuse=20, sigma=0.2, sigma_schedule=SigmaSchedule("linear", 0.1, num_steps=30)
        ),
        ESSingle(num_tasks=200, window=5, sigma=0.1),
    ],
    ids=["NRES", "GPES", "GPES-sigma", "ESSingle"],
)
def test_unbiased_on_influence_balancing(estimator):
    assert_unbiased(lifetime_means(estimator, INFLUENCE), TRUE_GRADIENT)


def test_guided_es_is_the_preconditioned_gradient():
    """With one meta-parameter and one guide, the search covariance is sigma^2, and the mean is beta times the truth."""
    estimator = GuidedES(num_tasks=200, window=5, sigma=0.1, beta=2.0)
    assert_unbiased(lifetime_means(estimator, INFLUENCE), 2 * TRUE_GRADIENT)


def test_window_variance_of_persistent_es_is_over_twice_that_of_noise_reuse_es():
    persistent, reuse = (
        np.var(estimates(estimator(num_tasks=100, window=5, sigma=0.1), INFLUENCE))
        for estimator in (PersistentES, NoiseReuseES)
    )
    assert persistent / reuse > 2  # 5.1 published


def test_reuse_of_one_window_is_persistent_es():
    options = {"num_tasks": 4, "window": 5, "sigma": 0.1}
    ours = estimates(NoiseReuseES(**options, reuse=5), INFLUENCE)
    # Rounding of a loss of about 8 in float32, times 1 / (2 sigma^2).
    np.testing.assert_allclose(ours, estimates(PersistentES(**options), INFLUENCE), rtol=1e-5, atol=1e-4)


def test_es_single_is_noise_reuse_in_lock_step():
    inner, theta = InfluenceBalancing(num_steps=20), jnp.float32(0.5)
    clocks = ESSingle(num_tasks=4, window=5).init(inner, theta, jax.random.key(0)).clock
    assert (clocks == clocks[0]).all()
    clocks = NoiseReuseES(num_tasks=4, window=5).init(inner, theta, jax.random.key(0)).clock
    assert len(set(clocks.tolist())) == 4


LEARNING = small_training(8)


@functools.cache
def exact_gradient():
    """Of the mean loss, over as many tasks as all others see, and its standard error."""
    samples = flat(lifetime_means(FullGradient(num_tasks=400), LEARNING))
    return samples.mean(0), samples.std(0, ddof=1) / np.sqrt(NUM_RUNS)


def flat(tree):
    return np.concatenate([np.asarray(leaf).reshape(NUM_RUNS, -1) for leaf in jax.tree.leaves(tree)], axis=1)


@pytest.mark.parametrize(
    "estimator",
    [
        NoiseReuseES(num_tasks=200, window=2, sigma=0.02),
        NoiseReuseES(num_tasks=200, window=2, sigma=0.02, rank=1),
        ESSingle(num_tasks=200, window=2, sigma=0.02),
    ],
    ids=["NRES", "NRES-low-rank", "ESSingle"],
)
def test_unbiased_on_a_learned_optimizer(estimator):
    samples = flat(lifetime_means(estimator, LEARNING))
    exact, exact_error = exact_gradient()
    error = np.hypot(samples.std(0, ddof=1) / np.sqrt(NUM_RUNS), exact_error)
    np.testing.assert_array_less(np.abs(samples.mean(0) - exact), 4 * error)
    assert cosine(samples.mean(0), exact) > 0.99


def test_guided_es_never_opposes_the_gradient():
    samples = flat(lifetime_means(GuidedES(num_tasks=200, window=2, sigma=0.02, num_guides=2), LEARNING))
    assert cosine(samples.mean(0), exact_gradient()[0]) > 0.8


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_fields_are_checked():
    with pytest.raises(ValueError, match=r"reuse must be a multiple of window = 5.*got 12"):
        NoiseReuseES(window=5, reuse=12).validate(INFLUENCE)
    with pytest.raises(ValueError, match="alpha must be in"):
        GuidedES(alpha=0.0)
    with pytest.raises(ValueError, match="rank must be null"):
        GuidedES(rank=1)
    assert NoiseReuseES().truncation == ConstantLength()
