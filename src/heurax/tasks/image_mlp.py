"""Image classification with multi-layer perceptrons of sampled width, depth and activation."""

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax import random
from heurax.tasks.activations import activate, check_activations
from heurax.tasks.classification import Classification, check_at_least_one, check_dataset
from heurax.tasks.datasets import DataSource

__all__ = ["ImageMLP", "ImageMLPTask"]


class ImageMLPTask(NamedTuple):
    """One classifier: number of units per hidden layer, number of hidden layers, index of the activation."""

    width: Int[Array, ""]
    depth: Int[Array, ""]
    activation: Int[Array, ""]


@dataclass(frozen=True)
class ImageMLP(Classification):
    """Classify images with a multi-layer perceptron; the loss is the mean cross-entropy in nats.

    All tasks share the shapes of the largest network. In a smaller one the surplus units are masked out and the
    surplus layers passed over: they get no gradient, but an optimizer that averages over a tensor does see their
    zeros.

    Args:
        dataset: a name in `heurax.tasks.DATASETS`, files, or a stream of them.
        width: units per hidden layer, a range (low, high), both included; sampled log-uniformly.
        depth: number of hidden layers, a range (low, high), both included; sampled uniformly; low >= 1.
        activations: sampled uniformly; of relu, tanh, gelu, silu.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> family = ImageMLP()
    >>> task = family.sample(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(family.init(task, jax.random.key(1))))
    2410
    """

    dataset: str | DataSource = "digits"
    width: tuple[int, int] = (32, 32)
    depth: tuple[int, int] = (1, 1)
    activations: tuple[str, ...] = ("relu",)
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_dataset(self.dataset)
        for name, (low, high) in {"width": self.width, "depth": self.depth}.items():
            if not 1 <= low <= high:
                raise ValueError(f"{name} must be a range (low, high) with 1 <= low <= high, got {(low, high)}")
        check_activations(self.activations)
        check_at_least_one(self, "batch_size")

    def sample(self, key: Key[Array, ""]) -> ImageMLPTask:
        """Draw width (log-uniform), depth and activation (uniform)."""
        key_width, key_depth, key_activation = jax.random.split(key, 3)
        low, high = self.width
        width = jnp.float32(low) if low == high else random.log_uniform(key_width, float(low), float(high + 1))
        return ImageMLPTask(
            width=jnp.clip(width.astype(jnp.int32), low, high),
            depth=random.integer(key_depth, *self.depth),
            activation=random.integer(key_activation, 0, len(self.activations) - 1),
        )

    def init(self, task: ImageMLPTask, key: Key[Array, ""]) -> dict[str, dict[str, Array]]:
        """Kernels N(0, 1/fan_in), with the task's own fan-in; zero biases."""
        high = self.width[1]
        sizes = [self.data.num_features, *[high] * self.depth[1], self.data.num_classes]
        params = {}
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            key_layer = jax.random.fold_in(key, layer)
            true_fan_in = fan_in if layer == 0 else task.width.astype(jnp.float32)
            kernel = random.normal(key_layer, (fan_in, fan_out), jnp.dtype("float32")) / jnp.sqrt(true_fan_in)
            params[f"layer_{layer}"] = {"kernel": kernel, "bias": jnp.zeros((fan_out,), jnp.float32)}
        return params

    def logits(self, task: ImageMLPTask, params: Any, inputs: Float[Array, "batch features"]) -> Array:
        """What the network says of flattened images."""
        x = inputs
        (low_width, high_width), (low_depth, high_depth) = self.width, self.depth
        mask = jnp.arange(high_width)[None] < task.width
        for layer in range(high_depth):
            kernel, bias = params[f"layer_{layer}"]["kernel"], params[f"layer_{layer}"]["bias"]
            hidden = self._activate(task, x @ kernel + bias[None])
            if low_width < high_width:
                hidden = jnp.where(mask, hidden, 0)
            x = jnp.where(layer < task.depth, hidden, x) if layer >= low_depth else hidden
        output = params[f"layer_{high_depth}"]
        return x @ output["kernel"] + output["bias"][None]

    def _activate(self, task: ImageMLPTask, x: Array) -> Array:
        return activate(self.activations, task.activation, x)
