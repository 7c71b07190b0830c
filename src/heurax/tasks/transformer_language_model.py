"""Character language models with transformers."""

from dataclasses import dataclass

import flax.linen as nn
from jaxtyping import Array, Int

from heurax.tasks.language_model import NUM_CHARACTERS, LanguageModel
from heurax.tasks.network import Activate
from heurax.tasks.transformer import TransformerBlock, check_heads

__all__ = ["TransformerLanguageModel"]


@dataclass(frozen=True)
class TransformerLanguageModel(LanguageModel):
    """Predict the next character with causal attention; the loss is the mean cross-entropy in nats per character.

    Learned positions, layer norms before each block and at the end, an output layer of its own: the shape of GPT-2
    (Radford et al. 2019), without dropout.

    Args:
        text: a name in `heurax.tasks.TEXTS`.
        num_channels: of a character; >= 1.
        num_heads: of attention, a divisor of `num_channels`.
        num_layers: blocks; >= 1.
        length: characters that are predicted in each piece; >= 1.
        activations: one is drawn; of relu, tanh, gelu, silu.
        width_fraction: part of hidden units in use in the dense blocks, which have `4 num_channels`, a range in
            (0, 1].
        init_scale: factor of the initial kernels, embeddings and positions, a range above 0.
        batch_size: pieces per step; >= 1.

    >>> TransformerLanguageModel(length=64).example.shape
    (1, 64)
    """

    text: str = "python_topics"
    num_channels: int = 64
    num_heads: int = 4
    num_layers: int = 2
    length: int = 32
    activations: tuple[str, ...] = ("gelu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 16

    def __post_init__(self) -> None:
        self.check("num_channels", "num_layers")
        check_heads(self.num_channels, self.num_heads)

    @property
    def module(self) -> nn.Module:
        """The network."""
        return _TransformerLanguageModel(self.num_channels, self.num_heads, self.num_layers)


class _TransformerLanguageModel(nn.Module):
    num_channels: int
    num_heads: int
    num_layers: int

    @nn.compact
    def __call__(self, tokens: Int[Array, "batch length"], activate: Activate) -> Array:
        position = self.param("position", nn.initializers.normal(0.02), (1, tokens.shape[1], self.num_channels))
        x = nn.Embed(NUM_CHARACTERS, self.num_channels, embedding_init=nn.initializers.normal(0.02))(tokens) + position
        for _ in range(self.num_layers):
            x = TransformerBlock(self.num_heads, 4 * self.num_channels, causal=True)(x, activate)
        return nn.Dense(NUM_CHARACTERS)(nn.LayerNorm()(x))
