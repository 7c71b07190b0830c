"""Character language models with recurrent networks."""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
from jaxtyping import Array, Int

from heurax.tasks.language_model import NUM_CHARACTERS, LanguageModel
from heurax.tasks.network import Activate

__all__ = ["RNNLanguageModel"]


@dataclass(frozen=True)
class RNNLanguageModel(LanguageModel):
    """Predict the next character with LSTMs or GRUs; the loss is the mean cross-entropy in nats per character.

    The memory is zero at the beginning of every piece. A hidden layer follows the recurrent ones.

    Args:
        text: a name in `heurax.tasks.TEXTS`.
        cell: lstm or gru.
        hidden_size: of embedding, memory and hidden layer; >= 1.
        num_layers: recurrent layers; >= 1.
        length: characters that are predicted in each piece; >= 1.
        activations: one is drawn, for the hidden layer; of relu, tanh, gelu, silu.
        width_fraction: part of the hidden layer's units in use, a range in (0, 1].
        init_scale: factor of the initial kernels and embeddings, a range above 0.
        batch_size: pieces per step; >= 1.

    >>> RNNLanguageModel(cell="gru").hidden_size
    64
    """

    text: str = "python_topics"
    cell: Literal["lstm", "gru"] = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    length: int = 32
    activations: tuple[str, ...] = ("relu",)
    width_fraction: tuple[float, float] = (1.0, 1.0)
    init_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 16

    def __post_init__(self) -> None:
        self.check("hidden_size", "num_layers")
        if self.cell not in CELLS:
            raise ValueError(f"cell must be lstm or gru, got {self.cell!r}")

    @property
    def module(self) -> nn.Module:
        """The network."""
        return _RNNLanguageModel(self.cell, self.hidden_size, self.num_layers)


CELLS = {"lstm": nn.OptimizedLSTMCell, "gru": nn.GRUCell}


class _RNNLanguageModel(nn.Module):
    cell: str
    hidden_size: int
    num_layers: int

    @nn.compact
    def __call__(self, tokens: Int[Array, "batch length"], activate: Activate) -> Array:
        x: Any = nn.Embed(NUM_CHARACTERS, self.hidden_size)(tokens)
        for _ in range(self.num_layers):
            x = nn.RNN(CELLS[self.cell](self.hidden_size))(x)
        return nn.Dense(NUM_CHARACTERS)(activate(nn.Dense(self.hidden_size)(x)))
