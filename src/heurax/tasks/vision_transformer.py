"""Image classification with a vision transformer."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.tasks.datasets import DataSource
from heurax.tasks.network import Activate, NetworkClassifier
from heurax.tasks.patches import check_patches, patches
from heurax.tasks.transformer import TransformerBlock, check_heads

__all__ = ["VisionTransformer"]


@dataclass(frozen=True)
class VisionTransformer(NetworkClassifier):
    """Square patches as tokens, learned positions, blocks of attention, the mean of all tokens; mean cross-entropy.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929. Departure: tokens are averaged, there is no class token.

    Args:
        dataset: the name of an image set in `heurax.tasks.DATASETS`, files, or a stream of them.
        patch: side of a patch, a divisor of the images' sides.
        num_channels: of a token; >= 1.
        num_heads: of attention, a divisor of `num_channels`.
        num_layers: blocks; >= 1.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of hidden units in use in the dense blocks, which have `4 num_channels`, a range in
            (0, 1].
        init_scale: factor of the initial kernels, a range above 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> VisionTransformer(patch=4).num_heads
    2
    """

    dataset: str | DataSource = "digits"
    patch: int = 2
    num_channels: int = 32
    num_heads: int = 2
    num_layers: int = 2
    activations: tuple[str, ...] = ("gelu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 64

    def __post_init__(self) -> None:
        self.check("patch", "num_channels", "num_layers")
        check_heads(self.num_channels, self.num_heads)

    @property
    def module(self) -> nn.Module:
        """The network."""
        check_patches(self.patch, self.image_shape)
        return _VisionTransformer(self.patch, self.num_channels, self.num_heads, self.num_layers, self.data.num_classes)


class _VisionTransformer(nn.Module):
    patch: int
    num_channels: int
    num_heads: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"], activate: Activate) -> Array:
        x = nn.Dense(self.num_channels)(patches(x, self.patch))
        x = x + self.param("position", nn.initializers.normal(0.02), (1, *x.shape[1:]))
        for _ in range(self.num_layers):
            x = TransformerBlock(self.num_heads, 4 * self.num_channels)(x, activate)
        return nn.Dense(self.num_classes)(jnp.mean(nn.LayerNorm()(x), axis=1))
