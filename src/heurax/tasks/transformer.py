"""The transformer block that vision and language families share."""

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from heurax.tasks.network import Activate

__all__ = ["TransformerBlock", "check_heads"]


class TransformerBlock(nn.Module):
    """`x <- x + attention(norm(x))`, `x <- x + dense(a(dense(norm(x))))`; layer norms before, as is usual now.

    Attributes:
        num_heads: a divisor of the number of channels.
        hidden_size: units of the dense block.
        causal: each place sees itself and those before it.
    """

    num_heads: int
    hidden_size: int
    causal: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "batch length channels"], activate: Activate) -> Array:
        """The block, on sequences."""
        *outer, channels = x.shape
        h = nn.LayerNorm()(x)
        heads = (self.num_heads, channels // self.num_heads)
        q, k, v = (nn.DenseGeneral(heads, name=name)(h) for name in ("query", "key", "value"))
        attended = jax.nn.dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + nn.Dense(channels, name="out")(attended.reshape(*outer, channels))
        return x + nn.Dense(channels)(activate(nn.Dense(self.hidden_size)(nn.LayerNorm()(x))))


def check_heads(num_channels: int, num_heads: int) -> None:
    """Raise ValueError where channels do not divide into heads."""
    if num_heads < 1 or num_channels % num_heads:
        raise ValueError(f"num_heads must divide num_channels, {num_channels}, got {num_heads}")
