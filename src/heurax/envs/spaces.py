"""What an agent may do: one of several actions, or a vector within bounds."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

__all__ = ["ActionSpace", "Box", "Discrete"]


@dataclass(frozen=True)
class Discrete:
    """The actions 0, 1, ..., num_actions - 1, each an int32 scalar.

    Args:
        num_actions: how many; >= 1.
    """

    num_actions: int

    def __post_init__(self) -> None:
        if self.num_actions < 1:
            raise ValueError(f"num_actions must be >= 1, got {self.num_actions}")

    def sample(self, key: Key[Array, ""]) -> Int[Array, ""]:
        """Draw an action uniformly.

        >>> Discrete(3).sample(jax.random.key(0)).dtype
        dtype('int32')
        """
        return jax.random.randint(key, (), 0, self.num_actions)

    def __str__(self) -> str:
        return f"{self.num_actions} actions"


@dataclass(frozen=True)
class Box:
    """Float32 actions of one shape, every element between the same two bounds.

    Args:
        shape: of an action.
        low: the lower bound; finite.
        high: the upper bound; finite, above `low`.
    """

    shape: tuple[int, ...]
    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low and high must be finite and low < high, got {self.low} and {self.high}")

    def sample(self, key: Key[Array, ""]) -> Float[Array, "..."]:
        """Draw an action uniformly.

        >>> Box((2,)).sample(jax.random.key(0)).shape
        (2,)
        """
        return jax.random.uniform(key, self.shape, jnp.float32, self.low, self.high)

    def __str__(self) -> str:
        return f"{'x'.join(map(str, self.shape))} numbers in [{self.low:g}, {self.high:g}]"


ActionSpace = Discrete | Box
