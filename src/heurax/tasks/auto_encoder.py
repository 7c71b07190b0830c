"""Images through a bottleneck: multi-layer perceptron auto-encoders."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.base import Split
from heurax.tasks.classification import check_at_least_one, check_dataset, check_sizes
from heurax.tasks.datasets import DataSource, draw, first, load_dataset
from heurax.tasks.network import Activate, NetworkFamily, NetworkTask

__all__ = ["AutoEncoder"]


@dataclass(frozen=True)
class AutoEncoder(NetworkFamily):
    """Reconstruct inputs from a few numbers with a perceptron each way; the loss is the mean squared error per feature.

    Its divergence takes reconstructions as the means of normal distributions of variance 1/2, for which that loss is a
    negative log-likelihood.

    Args:
        dataset: a name in `heurax.tasks.DATASETS`, files, or a stream of them; labels are not looked at.
        hidden_sizes: units of the encoder's hidden layers, the decoder's in reverse.
        bottleneck: numbers in between; >= 1.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of hidden units in use, a range in (0, 1].
        init_scale: factor of the initial kernels, a range above 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> AutoEncoder(bottleneck=4).example.shape
    (1, 64)
    """

    dataset: str | DataSource = "digits"
    hidden_sizes: tuple[int, ...] = (32,)
    bottleneck: int = 8
    activations: tuple[str, ...] = ("relu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_dataset(self.dataset)
        check_at_least_one(self, "bottleneck", "batch_size")
        check_sizes("hidden_sizes", self.hidden_sizes)
        self.check_variation()

    @property
    def module(self) -> nn.Module:
        """The network."""
        return _AutoEncoder(self.hidden_sizes, self.bottleneck)

    @property
    def example(self) -> Float[Array, "1 features"]:
        """A black image."""
        return jnp.zeros((1, load_dataset(self.dataset).num_features), jnp.float32)

    def batch(self, task: NetworkTask, key: Key[Array, ""], split: Split = "train") -> Float[Array, "batch features"]:
        """Inputs, drawn with replacement."""
        del task  # unused: all tasks of the family share the data
        inputs, _ = draw(self.dataset, key, self.batch_size, split)
        return inputs

    def evaluation_batch(self, task: NetworkTask, split: Split) -> Float[Array, "batch features"]:
        """The whole split, or its first 2,048 examples."""
        del task  # unused: as in `batch`
        return first(self.dataset, split)[0]

    def loss(self, task: NetworkTask, params: Any, batch: Float[Array, "batch features"]) -> Float[Array, ""]:
        """Mean squared error."""
        return jnp.mean((self.apply(task, params, batch) - batch) ** 2)

    def divergence(
        self, task: NetworkTask, target: Any, params: Any, batch: Float[Array, "batch features"]
    ) -> Float[Array, ""]:
        """Mean squared difference of the reconstructions."""
        return jnp.mean((self.apply(task, params, batch) - self.apply(task, target, batch)) ** 2)


class _AutoEncoder(nn.Module):
    hidden_sizes: tuple[int, ...]
    bottleneck: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch features"], activate: Activate) -> Array:
        num_features = x.shape[-1]
        for size in self.hidden_sizes:
            x = activate(nn.Dense(size)(x))
        x = nn.Dense(self.bottleneck)(x)
        for size in reversed(self.hidden_sizes):
            x = activate(nn.Dense(size)(x))
        return nn.Dense(num_features)(x)
