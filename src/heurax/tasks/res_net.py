"""Image classification with a small residual network, without batch statistics."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.tasks.classification import check_at_least_one, check_sizes
from heurax.tasks.datasets import DataSource
from heurax.tasks.network import Activate, NetworkClassifier

__all__ = ["ResNet"]


@dataclass(frozen=True)
class ResNet(NetworkClassifier):
    """Residual blocks `h <- h + conv(a(conv(norm(h))))` of 3x3 convolutions; the loss is the mean cross-entropy.

    Batch normalisation would make the loss of one example depend on the others, and need running statistics beside the
    parameters. The norm here is group normalisation (Wu and He 2018, arXiv:1803.08494) with one group: over places and
    channels of each image. A stage is a convolution, two pixels at a time after the first, and `num_blocks` blocks.
    Departures from He et al. 2015, arXiv:1512.03385: that norm, one norm and one activation per block.

    Args:
        dataset: the name of an image set in `heurax.tasks.DATASETS`, files, or a stream of them.
        channels: of each stage.
        num_blocks: per stage; >= 1.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of channels in use inside the blocks, a range in (0, 1].
        init_scale: factor of the initial kernels, a range above 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> ResNet(num_blocks=2).num_blocks
    2
    """

    dataset: str | DataSource = "digits"
    channels: tuple[int, ...] = (16, 32)
    num_blocks: int = 1
    activations: tuple[str, ...] = ("relu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 64

    def __post_init__(self) -> None:
        self.check()
        check_at_least_one(self, "num_blocks")
        check_sizes("channels", self.channels)

    @property
    def module(self) -> nn.Module:
        """The network."""
        return _ResNet(self.channels, self.num_blocks, self.data.num_classes)


class _ResNet(nn.Module):
    channels: tuple[int, ...]
    num_blocks: int
    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"], activate: Activate) -> Array:
        for stage, channels in enumerate(self.channels):
            x = nn.Conv(channels, (3, 3), strides=1 if stage == 0 else 2)(x)
            for _ in range(self.num_blocks):
                hidden = nn.Conv(channels, (3, 3))(nn.GroupNorm(num_groups=1)(x))
                x = x + nn.Conv(channels, (3, 3))(activate(hidden))
        return nn.Dense(self.num_classes)(jnp.mean(nn.GroupNorm(num_groups=1)(x), axis=(1, 2)))
