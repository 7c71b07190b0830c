"""Meta-gradients against the exact one, by their bias."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.inner import InfluenceBalancing, SupervisedTraining
from heurax.outer import (
    Average,
    Bootstrapped,
    ForwardGradient,
    FullGradient,
    MixedSteps,
    OuterOptimizer,
    PersistentES,
    TruncatedGradient,
)
from heurax.outer.tasks_axis import task_keys
from heurax.outer.trees import to_vector
from heurax.outer.unroll import unroll
from heurax.tasks import ImageMLP, Quadratic, TaskFamily
from problems import TinyOptimizer, small_training

TRUE_GRADIENT = 32.0852  # of the mean loss over 100 steps at theta = 0.5
INFLUENCE = InfluenceBalancing()


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def gradients(estimator, inner, num_estimates):
    """Successive gradients at a fixed theta, after as many that are not looked at."""
    theta = inner.rule.init(jax.random.key(0))

    def body(state, key):
        estimate, state = estimator.estimate(inner, theta, state, key)
        return state, estimate.gradient

    keys = jax.random.split(jax.random.key(1), 2 * num_estimates)
    _, stacked = jax.lax.scan(body, estimator.init(inner, theta, jax.random.key(2)), keys)
    return jax.tree.map(lambda g: g[num_estimates:], stacked)


def flat(tree):
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return np.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


@pytest.mark.parametrize(
    "estimator",
    [FullGradient(1), FullGradient(1, remat=10), ForwardGradient(20, window=5), ForwardGradient(1, window=100)],
    ids=["full", "remat", "forward", "forward-full"],
)
def test_exact_on_influence_balancing(estimator):
    np.testing.assert_allclose(np.mean(gradients(estimator, INFLUENCE, 20)), TRUE_GRADIENT, rtol=1e-4)


def test_random_directions_are_unbiased():
    samples = np.asarray(gradients(ForwardGradient(400, window=5, num_directions=1), INFLUENCE, 200))
    lifetimes = samples.reshape(10, 20).mean(1)  # estimates of one lifetime share their directions
    error = lifetimes.std(ddof=1) / np.sqrt(10)
    assert abs(samples.mean() - TRUE_GRADIENT) < 4 * error
    assert error < 0.05 * TRUE_GRADIENT


def test_truncated_gradient_has_the_wrong_sign():
    samples = np.asarray(gradients(TruncatedGradient(20, window=5), INFLUENCE, 20))
    np.testing.assert_allclose(samples.mean(), -2.2, atol=0.1)  # that of truncated ES, published


def test_forward_windows_equal_reverse_mode_on_a_learned_optimizer():
    """On the same tasks: over a horizon in one window, all agree; in several, forward mode forgets nothing."""
    inner = small_training(8)
    theta = inner.rule.init(jax.random.key(0))

    @functools.partial(jax.jit, static_argnums=0)
    def gradient(estimator):
        state = estimator.init(inner, theta, jax.random.key(3))
        return estimator.estimate(inner, theta, state, jax.random.key(4))[0].gradient

    exact = gradient(FullGradient(4, "final", remat=2))
    for estimator in (TruncatedGradient(4, "final", window=8, remat=4), ForwardGradient(4, "final", window=8)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), gradient(estimator), exact)


def test_forward_gradient_is_unbiased_on_a_learned_optimizer_and_truncation_is_greedy():
    inner = small_training(8)
    exact = flat(gradients(FullGradient(200), inner, 20))
    forward = flat(gradients(ForwardGradient(200, window=2), inner, 40)).reshape(10, 4, 3).mean(1)
    greedy = flat(gradients(TruncatedGradient(200, window=2), inner, 40))
    error = np.hypot(exact.std(0, ddof=1) / np.sqrt(20), forward.std(0, ddof=1) / np.sqrt(10))
    np.testing.assert_array_less(np.abs(forward.mean(0) - exact.mean(0)), 4 * error)
    # The loss falls at the horizon for what was done at its beginning; a short window sees a part of that.
    assert np.linalg.norm(greedy.mean(0)) < 0.8 * np.linalg.norm(exact.mean(0))


def test_with_an_adam_per_task_directions_are_averaged():
    """Against `optax.scale_by_adam` on every task's own gradients."""
    inner = small_training(8)
    theta = inner.rule.init(jax.random.key(0))
    plain = TruncatedGradient(3, window=2)
    estimator = dataclasses.replace(plain, adam_per_task=True)
    key = jax.random.key(3)

    @jax.jit
    def own_gradients(tasks, key):
        run = jax.vmap(lambda task, key: plain.run_task(inner, theta, task, key))
        estimates, tasks = run(tasks, task_keys(key, 3, None))
        return estimates.gradient, tasks

    estimate = jax.jit(lambda state, key: estimator.estimate(inner, theta, state, key))
    state, tasks = estimator.init(inner, theta, key), plain.init(inner, theta, key)
    adams = [optax.scale_by_adam().init(to_vector(theta)) for _ in range(3)]
    for step in range(3):
        key = jax.random.fold_in(key, step)
        estimated, state = estimate(state, key)
        gradients, tasks = own_gradients(tasks, key)
        directions = []
        for k in range(3):
            with jax.numpy_dtype_promotion("standard"):
                direction, adams[k] = optax.scale_by_adam().update(gradients[k], adams[k])
            directions.append(direction)
        np.testing.assert_allclose(to_vector(estimated.gradient), sum(directions) / 3, rtol=1e-4)


def test_bootstrapping_one_step_ahead_is_the_meta_gradient():
    """L = 1 and the squared distance: alpha times the gradient of the meta-loss at the end of the window."""
    inner = small_training(8)
    theta = inner.rule.init(jax.random.key(0))
    key = jax.random.key(4)
    estimator = Bootstrapped(1, window=4, target_steps=1, target_rate=0.3)
    lifetime = inner.init(theta, jax.random.key(5))

    def window(estimator):
        return estimator.run_window(inner, theta, lambda theta: lifetime, key)[0].gradient

    def meta_loss(theta):
        return unroll(inner, theta, lifetime, jax.random.split(key, 3)[0], 4, "final")[1]

    exact, ours = jax.jit(jax.grad(meta_loss))(theta), jax.jit(lambda: window(estimator))()
    np.testing.assert_allclose(ours, 0.3 * to_vector(exact), rtol=1e-4)


@pytest.mark.parametrize("matching_function", ["squared_distance", "kl"])
@pytest.mark.parametrize("target_steps", [1, 4])
def test_no_gradient_flows_into_the_target(target_steps, matching_function):
    """The tangents of what is matched depend on none of the inputs of the jaxpr, theirs included: they are zeros."""
    inner = dataclasses.replace(small_training(8), matching_function=matching_function)
    theta = inner.rule.init(jax.random.key(0))
    lifetime = inner.init(theta, jax.random.key(5))
    estimator = Bootstrapped(1, window=4, target_steps=target_steps)

    def tangents(primals, directions):
        def distance_to_target(theta, params):
            target = estimator.target(inner, theta, inner.with_params(lifetime, params), jax.random.key(6))
            return inner.matching(target, lifetime, jax.random.key(7))

        return jax.jvp(distance_to_target, primals, directions)[1]

    primals = (theta, lifetime.params)
    closed = jax.make_jaxpr(tangents)(primals, primals)
    jaxpr, used = jax.interpreters.partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.jaxpr.outvars))
    assert not any(used)
    assert all(equation.primitive.name == "broadcast_in_dim" for equation in jaxpr.eqns)


def test_bootstrapping_in_function_space():
    """Against the divergence written out, from a learner to a target that is a constant."""
    task = ImageMLP(width=(8, 8), activations=("tanh",), batch_size=16)
    inner = SupervisedTraining(TinyOptimizer(), task, num_steps=4, matching_function="kl")
    estimator = Bootstrapped(1, window=2, target_steps=20)
    estimator.validate(inner)
    theta, key = inner.rule.init(jax.random.key(0)), jax.random.key(4)
    lifetime = inner.init(theta, jax.random.key(5))
    key_unroll, key_target, _ = jax.random.split(key, 3)
    images = task.evaluation_batch(lifetime.task, "validation")[0]

    def logits(params):
        hidden = jnp.tanh(images @ params["layer_0"]["kernel"] + params["layer_0"]["bias"][None])
        return hidden @ params["layer_1"]["kernel"] + params["layer_1"]["bias"][None]

    def divergence(theta, target):
        learner, _, _ = unroll(inner, theta, lifetime, key_unroll, 2, "final")
        p, q = jax.nn.softmax(logits(target)), jax.nn.softmax(logits(learner.params))
        return jnp.mean(jnp.sum(p * jnp.log(p / q), axis=1))

    @jax.jit
    def both(theta):
        learner, _, _ = unroll(inner, theta, lifetime, key_unroll, 2, "final")
        target = estimator.target(inner, theta, learner, key_target).params
        estimate, _ = estimator.run_window(inner, theta, lambda theta: lifetime, key)
        return estimate, jax.value_and_grad(divergence)(theta, target)

    estimate, (distance, exact) = both(theta)
    np.testing.assert_allclose(estimate.metrics["matching"], distance, rtol=1e-4)
    np.testing.assert_allclose(estimate.gradient, to_vector(exact), rtol=1e-3)
    assert all(np.abs(leaf).max() > 1e-6 for leaf in jax.tree.leaves(exact))


def test_families_without_a_divergence_are_refused():
    @dataclasses.dataclass(frozen=True)
    class Points(Quadratic):
        divergence = TaskFamily.divergence

    inner = SupervisedTraining(TinyOptimizer(), Points(), matching_function="kl")
    with pytest.raises(ValueError, match="the models of Points predict no distribution whose divergence could be"):
        Bootstrapped().validate(inner)


def test_mixed_steps_mix_the_gradients_of_all_lengths():
    inner, theta = InfluenceBalancing(num_steps=8), jnp.float32(0.5)

    def gradient(estimator, lifetime):
        return estimator.run_window(inner, theta, lambda theta: lifetime, jax.random.key(0))[0].gradient

    lifetime = jnp.linspace(-1, 1, 23)
    parts = [gradient(TruncatedGradient(1, "final", window=n), lifetime) for n in range(1, 5)]
    for decay in (0.0, 0.5, 1.0):
        weights = decay ** np.arange(4) / np.sum(decay ** np.arange(4))
        ours = gradient(MixedSteps(1, window=4, decay=decay), lifetime)
        np.testing.assert_allclose(ours, np.dot(weights, parts), rtol=1e-5)


def test_average_weighs_its_estimators():
    inner, theta = InfluenceBalancing(num_steps=10), jnp.float32(0.5)
    parts = (PersistentES(2, window=5, sigma=0.1), TruncatedGradient(2, window=10))
    estimator = Average(parts, (1.0, 3.0))
    state = estimator.init(inner, theta, jax.random.key(0))
    estimate, after = estimator.estimate(inner, theta, state, jax.random.key(1))
    keys = jax.random.split(jax.random.key(1), 2)
    alone = [part.estimate(inner, theta, s, k)[0] for part, s, k in zip(parts, state, keys, strict=True)]
    np.testing.assert_allclose(estimate.gradient, 0.25 * alone[0].gradient + 0.75 * alone[1].gradient, rtol=1e-6)
    np.testing.assert_allclose(estimate.metrics["gradient_norm_1"], abs(alone[1].gradient), rtol=1e-6)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert estimator.inner_steps(inner) == 2 * 2 * 5 + 2 * 10
    with pytest.raises(ValueError, match="estimators must have the same num_tasks"):
        Average((PersistentES(2), TruncatedGradient(3)))


def test_accumulation_is_one_update_with_the_mean():
    """Four accumulated gradients move theta once, as their mean does; schedules go on by outer steps."""
    plain = OuterOptimizer("sgd", 0.1, warmup_steps=0, schedule="constant", clip_norm=float("inf"))
    built = OuterOptimizer("sgd", 0.1, warmup_steps=0, schedule="constant", clip_norm=float("inf"), accumulate=4).build(
        8
    )
    theta = jnp.float32(1)
    state = built.init(theta)
    moves = []
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        for gradient in (1.0, 2.0, 3.0, 6.0):
            update, state = built.update(jnp.float32(gradient), state, theta)
            moves.append(float(update))
    expected, _ = plain.build(8).update(jnp.float32(3), plain.build(8).init(theta), theta)
    np.testing.assert_allclose(moves, [0, 0, 0, expected], rtol=1e-6)
    with pytest.raises(ValueError, match="accumulate must be >= 1, got 0"):
        OuterOptimizer(accumulate=0)
