"""Augmentations: what an optimizer is shown, against the gradient itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.inner import SupervisedTraining
from heurax.inner.mixed_mode import mixed_mode_value_and_grad
from heurax.rules import OptaxOptimizer
from heurax.tasks import (
    BFloat16,
    DelayedGradient,
    ESGradient,
    ImageMLP,
    LabelNoise,
    NormalizedGradient,
    Quadratic,
    RandomDirectionGradient,
    ReducedBatch,
    Reparameterized,
)
from heurax.tasks.augmentation import AugmentedTask

QUADRATIC = Quadratic(dimension=4, condition_number=10.0)


def shown(family, num_steps=1, key=0):
    """Gradients that are shown at fixed points x_t, and the true ones there."""
    key_task, key_memory, key_points = jax.random.split(jax.random.key(key), 3)
    task = family.sample(key_task)
    inner = task
    while isinstance(inner, AugmentedTask):
        inner = inner.task
    points = jax.random.normal(key_points, (num_steps, 4))
    batch = QUADRATIC.evaluation_batch(inner, "train")

    def step(memory, x):
        _, gradient, memory = family.loss_and_gradient(task, x, batch, memory)
        return memory, gradient

    _, gradients = jax.lax.scan(step, family.init_memory(task, points[0], key_memory), points)
    return task, gradients, jax.vmap(lambda x: jax.grad(QUADRATIC.loss, argnums=1)(inner, x, batch))(points)


def test_normalized_gradients_have_unit_length():
    _, gradients, true = shown(NormalizedGradient(QUADRATIC), 3)
    np.testing.assert_allclose(gradients, true / jnp.linalg.norm(true, axis=1, keepdims=True), rtol=1e-5)


def test_delayed_gradients_are_those_of_some_steps_ago():
    for key in range(4):
        task, gradients, true = shown(DelayedGradient(QUADRATIC, max_delay=3), 8, key)
        delay = int(task.drawn)
        assert 1 <= delay <= 3
        expected = [true[step - min(delay, step)] for step in range(8)]
        np.testing.assert_allclose(gradients, np.stack(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "length"),
    [
        (RandomDirectionGradient(QUADRATIC, num_directions=2000), None),
        (RandomDirectionGradient(QUADRATIC, num_directions=2000, show="sign"), np.sqrt(2 / np.pi)),
        (ESGradient(QUADRATIC, num_pairs=2000), None),  # unbiased: the third derivative of a quadratic is zero
    ],
    ids=["value", "sign", "es"],
)
def test_estimates_are_the_gradient_in_the_mean(family, length):
    """To four standard errors of a mean over 2,000 directions in four dimensions."""
    _, gradients, true = shown(family)
    expected = true[0] if length is None else length * true[0] / jnp.linalg.norm(true[0])
    error = 4 * np.linalg.norm(expected) * np.sqrt(2 / 2000)
    np.testing.assert_allclose(gradients[0], expected, atol=error)
    again = shown(family)[1]
    np.testing.assert_array_equal(again, gradients)


def test_new_directions_in_every_step():
    family = RandomDirectionGradient(QUADRATIC, num_directions=1)
    task = family.sample(jax.random.key(0))
    x, memory = jnp.ones(4), family.init_memory(task, jnp.ones(4), jax.random.key(1))
    batch = jnp.zeros(4)
    _, first, memory = family.loss_and_gradient(task, x, batch, memory)
    _, second, _ = family.loss_and_gradient(task, x, batch, memory)
    assert abs(jnp.vdot(first, second)) < 0.99 * jnp.linalg.norm(first) * jnp.linalg.norm(second)


def test_reparameterized_gradients_go_by_the_chain_rule_through_other_augmentations():
    family = Reparameterized(NormalizedGradient(QUADRATIC), low=3.0, high=3.0)
    task, batch = family.sample(jax.random.key(0)), jnp.zeros(4)
    x = jax.random.normal(jax.random.key(1), (4,))
    loss, gradient, _ = family.loss_and_gradient(task, x, batch, ())
    true_loss, true = jax.value_and_grad(QUADRATIC.loss, argnums=1)(task.task.task, 3 * x, batch)
    np.testing.assert_allclose(loss, true_loss, rtol=1e-6)
    np.testing.assert_allclose(gradient, 3 * true / jnp.linalg.norm(true), rtol=1e-5)


def test_a_reduced_batch_repeats_its_first_examples():
    family = ReducedBatch(ImageMLP(batch_size=12))
    task = family.sample(jax.random.key(0))._replace(drawn=jnp.float32(0.25))
    labels, whole = (f.batch(t, jax.random.key(1))[1] for f, t in ((family, task), (family.family, task.task)))
    np.testing.assert_array_equal(labels, np.repeat(whole[:3], 4))
    fractions = jax.vmap(family.sample)(jax.random.split(jax.random.key(2), 200)).drawn
    assert 0.01 <= fractions.min() < 0.05
    assert 0.95 < fractions.max() <= 1
    with pytest.raises(ValueError, match="family must have batches of examples, and those of Quadratic are not"):
        ReducedBatch(Quadratic())


def test_label_noise_replaces_the_fraction_it_drew_of_training_labels():
    family = LabelNoise(ImageMLP(batch_size=4000))
    task = family.sample(jax.random.key(0))._replace(drawn=jnp.float32(0.5))
    key = jax.random.key(1)
    inputs, labels = family.batch(task, key)
    data = family.family.data
    rows = {row.tobytes(): label for row, label in zip(data.inputs["train"], data.labels["train"], strict=True)}
    right = [rows[np.asarray(x).tobytes()] for x in inputs]
    assert np.mean(labels != np.array(right)) == pytest.approx(0.5 * 0.9, abs=0.03)
    clean = family.family.batch(task.task, key, "validation")
    np.testing.assert_array_equal(family.batch(task, key, "validation")[1], clean[1])
    with pytest.raises(ValueError, match="family must have labels, and Quadratic has none"):
        LabelNoise(Quadratic())


def test_bfloat16_rounds_inside_and_shows_float32():
    family = BFloat16(QUADRATIC)
    task, batch = family.sample(jax.random.key(0)), jnp.zeros(4)
    x = jax.random.normal(jax.random.key(1), (4,))
    loss, gradient, _ = family.loss_and_gradient(task, x, batch, ())
    true_loss, true = jax.value_and_grad(QUADRATIC.loss, argnums=1)(task.task, x, batch)
    assert loss.dtype == gradient.dtype == jnp.float32
    np.testing.assert_array_equal(gradient, gradient.astype(jnp.bfloat16).astype(jnp.float32))
    np.testing.assert_allclose([loss, *gradient], [true_loss, *true], rtol=0.05, atol=0.02)
    np.testing.assert_array_equal(family.loss(task, x, batch), loss)


def test_inside_training_also_in_mixed_mode():
    """Momentum on delayed, normalised gradients, in supervised training, plain and in mixed mode."""
    family = DelayedGradient(NormalizedGradient(QUADRATIC), max_delay=2)
    task = family.sample(jax.random.key(0))
    x, batch = jnp.ones(4), jnp.zeros(4)
    memory = family.init_memory(task, x, jax.random.key(1))
    plain = family.loss_and_gradient(task, x, batch, memory)
    mixed = family.loss_and_gradient(task, x, batch, memory, mixed_mode_value_and_grad)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), plain, mixed)

    inner = SupervisedTraining(OptaxOptimizer("sgd", 0.1), family, num_steps=6, loss_cap=1e3)
    theta = inner.rule.init(jax.random.key(0))
    state = inner.init(theta, jax.random.key(1))
    assert state.memory.count == 0
    start = state.params
    for key in jax.random.split(jax.random.key(2), 3):
        state, _ = jax.jit(inner.step)(theta, state, key)
    assert state.memory.count == 3
    steps = np.linalg.norm(state.params - start)
    assert 0 < steps <= 0.3 + 1e-5  # three steps of length 0.1
    assert optax.tree.norm(state.memory.gradients) > 0
