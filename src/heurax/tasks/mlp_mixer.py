"""Image classification with an MLP-mixer."""

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.tasks.datasets import DataSource
from heurax.tasks.network import Activate, NetworkClassifier
from heurax.tasks.patches import check_patches, patches

__all__ = ["MLPMixer"]


@dataclass(frozen=True)
class MLPMixer(NetworkClassifier):
    """Perceptrons over patches and over channels in turn, then the mean of all patches; mean cross-entropy in nats.

    `x <- x + mlp(norm(x)^T)^T`, `x <- x + mlp(norm(x))`. Source: Tolstikhin et al. 2021, arXiv:2105.01601.

    Args:
        dataset: the name of an image set in `heurax.tasks.DATASETS`, files, or a stream of them.
        patch: side of a patch, a divisor of the images' sides.
        num_channels: of a patch; >= 1.
        hidden_size: units of the perceptrons over patches, half of those over channels; >= 1.
        num_layers: blocks; >= 1.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of hidden units in use, a range in (0, 1].
        init_scale: factor of the initial kernels, a range above 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> MLPMixer(num_layers=1).patch
    2
    """

    dataset: str | DataSource = "digits"
    patch: int = 2
    num_channels: int = 32
    hidden_size: int = 32
    num_layers: int = 2
    activations: tuple[str, ...] = ("gelu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 64

    def __post_init__(self) -> None:
        self.check("patch", "num_channels", "hidden_size", "num_layers")

    @property
    def module(self) -> nn.Module:
        """The network."""
        check_patches(self.patch, self.image_shape)
        return _MLPMixer(self.patch, self.num_channels, self.hidden_size, self.num_layers, self.data.num_classes)


class _MLPMixer(nn.Module):
    patch: int
    num_channels: int
    hidden_size: int
    num_layers: int
    num_classes: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channels"], activate: Activate) -> Array:
        x = nn.Dense(self.num_channels)(patches(x, self.patch))
        for _ in range(self.num_layers):
            across = nn.LayerNorm()(x).swapaxes(1, 2)
            across = nn.Dense(x.shape[1])(activate(nn.Dense(self.hidden_size)(across)))
            x = x + across.swapaxes(1, 2)
            hidden = activate(nn.Dense(2 * self.hidden_size)(nn.LayerNorm()(x)))
            x = x + nn.Dense(self.num_channels)(hidden)
        return nn.Dense(self.num_classes)(jnp.mean(nn.LayerNorm()(x), axis=1))
