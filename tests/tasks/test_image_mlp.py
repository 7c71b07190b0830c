"""Image MLPs: masked networks are what they stand for, and augmentation leaves the function alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.tasks import DATASETS, ImageMLP, Reparameterized
from heurax.tasks.image_mlp import ImageMLPTask


def test_digits_split_is_fixed_and_complete():
    data = DATASETS["digits"]()
    assert {split: x.shape for split, x in data.inputs.items()} == {
        "train": (1297, 64),
        "validation": (250, 64),
        "test": (250, 64),
    }
    rows = np.concatenate(list(data.inputs.values()))
    assert rows.min() == 0
    assert rows.max() == 1
    assert sum(len(y) for y in data.labels.values()) == 1797


def test_masked_network_equals_the_small_network():
    """A network of 3 units and 1 layer inside the shapes of 8 units and 3 layers, against NumPy."""
    family = ImageMLP(width=(2, 8), depth=(1, 3), activations=("relu", "tanh"))
    task = ImageMLPTask(jnp.int32(3), jnp.int32(1), jnp.int32(1))
    params = family.init(task, jax.random.key(0))
    x, y = family.evaluation_batch(task, "test")
    hidden = np.tanh(x @ params["layer_0"]["kernel"][:, :3])
    logits = hidden @ params["layer_3"]["kernel"][:3]
    log_z = np.log(np.exp(logits).sum(1))
    expected = np.mean(log_z - np.asarray(logits)[np.arange(len(y)), y])
    np.testing.assert_allclose(family.loss(task, params, (x, y)), expected, rtol=1e-5)


def test_sampled_sizes_cover_their_ranges():
    family = ImageMLP(width=(4, 16), depth=(1, 3), activations=("relu", "tanh"))
    tasks = jax.vmap(family.sample)(jax.random.split(jax.random.key(0), 500))
    assert (int(tasks.width.min()), int(tasks.width.max())) == (4, 16)
    assert set(np.unique(tasks.depth)) == {1, 2, 3}
    assert set(np.unique(tasks.activation)) == {0, 1}


@pytest.mark.parametrize("level", ["global", "tensor", "parameter"])
def test_reparameterization_keeps_the_function_and_scales_the_gradient(level):
    family = ImageMLP()
    wrapped = Reparameterized(family, level, low=0.01, high=100.0)
    key_task, key_init = jax.random.split(jax.random.key(0))
    task = wrapped.sample(key_task)
    params, wrapped_params = family.init(task.task, key_init), wrapped.init(task, key_init)
    batch = family.evaluation_batch(task.task, "test")
    loss, gradient = jax.value_and_grad(family.loss, argnums=1)(task.task, params, batch)
    wrapped_loss, wrapped_gradient = jax.value_and_grad(wrapped.loss, argnums=1)(task, wrapped_params, batch)
    np.testing.assert_allclose(wrapped_loss, loss, rtol=1e-4)
    scale = task.drawn if level == "global" else task.drawn["layer_0"]["kernel"]
    np.testing.assert_allclose(
        wrapped_gradient["layer_0"]["kernel"], scale * gradient["layer_0"]["kernel"], rtol=2e-3, atol=1e-6
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dataset": "mnist"}, "dataset must be one of breast_cancer, digits, .*, got 'mnist'"),
        ({"width": (8, 4)}, r"width must be a range \(low, high\) with 1 <= low <= high, got \(8, 4\)"),
        ({"depth": (0, 1)}, "depth must be a range"),
        ({"activations": ("sin",)}, "activations must be some of relu, tanh, gelu, silu"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        ImageMLP(**fields)
