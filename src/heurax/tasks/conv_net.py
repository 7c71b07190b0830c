"""Image classification with a convolutional net."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.tasks.classification import check_sizes
from heurax.tasks.datasets import DataSource
from heurax.tasks.network import Activate, NetworkClassifier

__all__ = ["ConvNet"]


@dataclass(frozen=True)
class ConvNet(NetworkClassifier):
    """3x3 convolutions, an average over places, one dense layer; the loss is the mean cross-entropy in nats.

    Args:
        dataset: the name of an image set in `heurax.tasks.DATASETS`, files, or a stream of them.
        channels: of each convolution; all but the first go two pixels at a time.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of channels in use, a range in (0, 1].
        init_scale: factor of the initial kernels, a range above 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> ConvNet(channels=(8, 8)).module.channels
    (8, 8)
    """

    dataset: str | DataSource = "digits"
    channels: tuple[int, ...] = (16, 32)
    activations: tuple[str, ...] = ("relu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 64

    def __post_init__(self) -> None:
        self.check()
        check_sizes("channels", self.channels)

    @property
    def module(self) -> nn.Module:
        """The network."""
        return _ConvNet(self.channels, self.data.num_classes)


class _ConvNet(nn.Module):
    channels: tuple[int, ...]
    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"], activate: Activate) -> Array:
        for layer, channels in enumerate(self.channels):
            stride = 1 if layer == 0 else 2
            x = activate(nn.Conv(channels, (3, 3), strides=stride, kernel_init=nn.initializers.he_normal())(x))
        return nn.Dense(self.num_classes)(jnp.mean(x, axis=(1, 2)))
