"""Estimators against exact gradients: on influence balancing, and on a small learned-optimizer problem."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InfluenceBalancing, SupervisedTraining
from heurax.outer import Descent, FullES, OuterOptimizer, PersistentES, TruncatedES, TruncatedGradient
from heurax.outer.unroll import unroll
from heurax.rules import LearnableAdam
from heurax.tasks import Quadratic

TRUE_GRADIENT = 32.0852  # of the mean loss over 100 steps at theta = 0.5; central differences in NumPy float64


def numpy_influence_loss(theta):
    matrix = 0.5 * np.eye(23) + 0.5 * np.eye(23, k=1)
    state, losses = np.zeros(23), []
    for _ in range(100):
        state = matrix @ state + theta * np.r_[np.ones(10), -np.ones(13)]
        losses.append(0.5 * (state[0] - 1) ** 2)
    return np.mean(losses)


def cycle(estimator, inner, theta, key, num_estimates):
    """Estimates of one run `[estimates, ...]`, after a warm-up in which every lifetime has begun once."""

    def body(state, key):
        estimate, state = estimator.estimate(inner, theta, state, key)
        return state, estimate.gradient

    warm_up = inner.num_steps // getattr(estimator, "window", inner.num_steps)
    state = estimator.init(inner, theta, key)
    keys = jax.random.split(jax.random.fold_in(key, 1), warm_up + num_estimates)
    return jax.tree.map(lambda g: g[warm_up:], jax.lax.scan(body, state, keys)[1])


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def cycle_means(estimator, inner, num_runs):
    """Mean gradient over one cycle, for independent runs `[runs, ...]`."""
    theta = inner.rule.init(jax.random.key(0))
    windows = max(inner.num_steps // getattr(estimator, "window", inner.num_steps), 4)
    run = functools.partial(cycle, estimator, inner, theta, num_estimates=windows)
    keys = jax.random.split(jax.random.key(7), num_runs)
    return jax.tree.map(lambda g: jnp.mean(g, axis=1), jax.vmap(lambda key: run(key=key))(keys))


def assert_unbiased(samples, expected):
    """The mean of independent samples is within four standard errors of the truth."""
    error = np.std(samples, axis=0, ddof=1) / np.sqrt(len(samples))
    np.testing.assert_array_less(np.abs(np.mean(samples, axis=0) - expected), 4 * error)


def test_reference_problem_has_the_published_numbers():
    inner = InfluenceBalancing()
    theta, key = jnp.float32(0.5), jax.random.key(0)
    _, loss, _ = unroll(inner, theta, inner.init(theta, key), key, 100, "mean")
    np.testing.assert_allclose(loss, numpy_influence_loss(0.5), rtol=1e-5)
    np.testing.assert_allclose(loss, 8.38, atol=0.005)
    slope = (numpy_influence_loss(0.5 + 1e-4) - numpy_influence_loss(0.5 - 1e-4)) / 2e-4
    np.testing.assert_allclose(slope, TRUE_GRADIENT, rtol=1e-5)


@pytest.mark.parametrize(
    "estimator", [FullES(num_tasks=500, sigma=0.1), PersistentES(num_tasks=500, window=5, sigma=0.1)], ids=repr
)
def test_unbiased_on_influence_balancing(estimator):
    samples = np.asarray(cycle_means(estimator, InfluenceBalancing(), 40))
    assert_unbiased(samples, TRUE_GRADIENT)
    assert abs(samples.mean() - TRUE_GRADIENT) < 0.05 * TRUE_GRADIENT  # and the interval is narrow enough to mean it


def test_truncated_es_has_the_wrong_sign():
    samples = np.asarray(cycle_means(TruncatedES(num_tasks=500, window=5, sigma=0.1), InfluenceBalancing(), 40))
    assert samples.mean() + 4 * samples.std(ddof=1) / np.sqrt(40) < 0
    np.testing.assert_allclose(samples.mean(), -2.2, atol=0.2)  # published


def final_loss(estimator, seed, num_steps=8000):
    """Train on influence balancing with the published settings: SGD 1e-4, 200 evaluations per estimate."""
    inner = InfluenceBalancing()
    sgd = OuterOptimizer("sgd", 1e-4, warmup_steps=0, schedule="constant", clip_norm=float("inf"))
    outer = Descent(estimator, sgd, num_steps)
    state = outer.init(inner, jax.random.key(seed))
    state, _ = jax.lax.scan(lambda s, _: outer.step(inner, s), state, None, length=num_steps)
    return unroll(inner, state.theta, inner.init(state.theta, jax.random.key(0)), jax.random.key(0), 100, "mean")[1]


@pytest.mark.slow
def test_persistent_es_trains_to_the_optimum_and_truncated_es_away_from_it():
    seeds = jnp.arange(5)
    persistent, truncated = (
        jax.jit(jax.vmap(functools.partial(final_loss, estimator(num_tasks=100, window=5, sigma=0.1))))(seeds)
        for estimator in (PersistentES, TruncatedES)
    )
    best = min(numpy_influence_loss(theta) for theta in np.linspace(-0.5, 0.5, 1001))
    assert (np.asarray(persistent) < best + 0.005).all(), persistent  # optimum 0.4975; published 0.497 to 0.499
    assert (np.asarray(truncated) > 50 * np.asarray(persistent)).all(), truncated  # published 66 to 70


LEARNING = SupervisedTraining(LearnableAdam(learning_rate=0.05), Quadratic(dimension=3), num_steps=8)


def vector(gradient):
    return np.stack([np.asarray(leaf) for leaf in jax.tree.leaves(gradient)], axis=-1)


def test_truncated_gradient_over_the_horizon_is_jax_grad():
    estimator = TruncatedGradient(num_tasks=3, window=LEARNING.num_steps)
    theta = LEARNING.rule.init(jax.random.key(0))
    key = jax.random.key(5)
    state = estimator.init(LEARNING, theta, jax.random.key(1))
    estimate, _ = jax.jit(lambda: estimator.estimate(LEARNING, theta, state, key))()

    def loss_of(theta, task_key):
        key_init, key_unroll = jax.random.split(task_key)
        lifetime, losses = LEARNING.init(theta, key_init), []
        for step_key in jax.random.split(key_unroll, LEARNING.num_steps + 1)[:-1]:
            lifetime, result = LEARNING.step(theta, lifetime, step_key)
            losses.append(result.loss)
        return sum(losses) / len(losses)

    def mean_loss(theta):
        return sum(loss_of(theta, jax.random.fold_in(key, index)) for index in range(3)) / 3

    exact = jax.jit(jax.grad(mean_loss))(theta)
    difference = vector(estimate.gradient) - vector(exact)
    assert np.linalg.norm(difference) <= 1e-5 * np.linalg.norm(vector(exact))


@pytest.mark.parametrize(
    "estimator", [FullES(num_tasks=400, sigma=0.01), PersistentES(num_tasks=400, window=2, sigma=0.01)], ids=repr
)
def test_unbiased_on_a_learned_optimizer(estimator):
    """Against the exact meta-gradient, averaged over as many tasks; both means have a standard error."""
    samples = vector(cycle_means(estimator, LEARNING, 40))
    exact = vector(cycle_means(TruncatedGradient(num_tasks=400, window=LEARNING.num_steps), LEARNING, 40))
    errors = [np.std(x, axis=0, ddof=1) / np.sqrt(len(x)) for x in (samples, exact)]
    difference = np.abs(samples.mean(0) - exact.mean(0))
    np.testing.assert_array_less(difference, 4 * np.hypot(*errors))
    a, b = samples.mean(0), exact.mean(0)
    assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.99


def test_nonfinite_gradients_are_dropped_and_counted():
    inner = SupervisedTraining(LearnableAdam(learning_rate=1e30), Quadratic(), num_steps=4, loss_cap=1e38)
    estimator = TruncatedGradient(num_tasks=2, window=4)
    theta = inner.rule.init(jax.random.key(0))
    state = estimator.init(inner, theta, jax.random.key(1))
    estimate, _ = jax.jit(lambda: estimator.estimate(inner, theta, state, jax.random.key(2)))()
    assert np.isfinite(vector(estimate.gradient)).all()
    assert estimate.metrics["nonfinite"] == 1.0


@pytest.mark.parametrize("estimator", [PersistentES, TruncatedES, TruncatedGradient])
def test_window_must_fit_the_horizon(estimator):
    inner = SupervisedTraining(num_steps=20)
    with pytest.raises(ValueError, match=r"window must be between 1 and the horizon, inner.num_steps = 20; got 30"):
        estimator(window=30).validate(inner)
    with pytest.raises(ValueError, match=r"window must divide the horizon.*got 7, the nearest that does is 5"):
        estimator(window=7).validate(inner)
    with pytest.raises(ValueError, match="num_tasks must be >= 1, got 0"):
        estimator(num_tasks=0)
