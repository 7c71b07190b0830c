"""Images through a random bottleneck: variational auto-encoders of multi-layer perceptrons."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.tasks.base import Split
from heurax.tasks.classification import check_at_least_one, check_dataset, check_sizes
from heurax.tasks.datasets import DataSource, draw, first, load_dataset
from heurax.tasks.network import Activate, NetworkFamily, NetworkTask

__all__ = ["VariationalAutoEncoder", "VariationalBatch"]


class VariationalBatch(NamedTuple):
    """Images and the noise of their latent numbers, so that a batch's loss is a number, not a distribution."""

    inputs: Float[Array, "batch features"]
    noise: Float[Array, "batch latent"]


@dataclass(frozen=True)
class VariationalAutoEncoder(NetworkFamily):
    """Encode images as normal distributions; the loss is the negative evidence lower bound, in nats per pixel.

    `loss = (CE(x, decode(m + s n)) + KL(N(m, s^2) || N(0, 1))) / pixels`, where (m, log s) = encode(x), n is standard
    normal noise, one draw per image, and CE is the cross-entropy of pixels in [0, 1], read as probabilities.

    Source: Kingma and Welling 2013, arXiv:1312.6114.

    Args:
        dataset: the name of an image set in `heurax.tasks.DATASETS`, files, or a stream of them; labels are not
            looked at.
        hidden_sizes: units of the encoder's hidden layers, the decoder's in reverse.
        latent_size: numbers in between; >= 1.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of hidden units in use, a range in (0, 1].
        init_scale: factor of the initial kernels, a range above 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> VariationalAutoEncoder(latent_size=2).example[1].shape
    (1, 2)
    """

    dataset: str | DataSource = "digits"
    hidden_sizes: tuple[int, ...] = (32,)
    latent_size: int = 8
    activations: tuple[str, ...] = ("relu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 64

    def __post_init__(self) -> None:
        check_dataset(self.dataset)
        check_at_least_one(self, "latent_size", "batch_size")
        check_sizes("hidden_sizes", self.hidden_sizes)
        self.check_variation()

    @property
    def module(self) -> nn.Module:
        """Encoder and decoder."""
        return _VariationalAutoEncoder(self.hidden_sizes, self.latent_size)

    @property
    def example(self) -> VariationalBatch:
        """A black image without noise."""
        num_features = load_dataset(self.dataset).num_features
        return VariationalBatch(jnp.zeros((1, num_features)), jnp.zeros((1, self.latent_size)))

    def batch(self, task: NetworkTask, key: Key[Array, ""], split: Split = "train") -> VariationalBatch:
        """Images, drawn with replacement, and noise."""
        del task  # unused: all tasks of the family share the data
        key_data, key_noise = jax.random.split(key)
        inputs, _ = draw(self.dataset, key_data, self.batch_size, split)
        return VariationalBatch(inputs, jax.random.normal(key_noise, (self.batch_size, self.latent_size)))

    def evaluation_batch(self, task: NetworkTask, split: Split) -> VariationalBatch:
        """The whole split, or its first 2,048 examples, and always the same noise."""
        del task  # unused: as in `batch`
        inputs, _ = first(self.dataset, split)
        return VariationalBatch(inputs, jax.random.normal(jax.random.key(0), (len(inputs), self.latent_size)))

    def loss(self, task: NetworkTask, params: Any, batch: VariationalBatch) -> Float[Array, ""]:
        """The negative evidence lower bound per pixel."""
        logits, mean, log_deviation = self.apply(task, params, batch)
        reconstruction = jnp.sum(optax.sigmoid_binary_cross_entropy(logits, batch.inputs), axis=1)
        squares = mean**2 + jnp.exp(2 * log_deviation) - 1 - 2 * log_deviation
        return jnp.mean(reconstruction + jnp.sum(squares, axis=1) / 2) / batch.inputs.shape[1]


class _VariationalAutoEncoder(nn.Module):
    hidden_sizes: tuple[int, ...]
    latent_size: int

    @nn.compact
    def __call__(self, batch: VariationalBatch, activate: Activate) -> tuple[Array, Array, Array]:
        x = batch.inputs
        for size in self.hidden_sizes:
            x = activate(nn.Dense(size)(x))
        mean = nn.Dense(self.latent_size)(x)
        log_deviation = nn.Dense(self.latent_size)(x)
        x = mean + jnp.exp(log_deviation) * batch.noise
        for size in reversed(self.hidden_sizes):
            x = activate(nn.Dense(size)(x))
        return nn.Dense(batch.inputs.shape[1])(x), mean, log_deviation
