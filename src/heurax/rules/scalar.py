"""A single number as a rule: for inner loops with one hyper-parameter, and for tests of the outer loop."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.base import Rule

__all__ = ["Scalar"]


@dataclass(frozen=True)
class Scalar(Rule):
    """One number: `theta` is a scalar.

    Args:
        value: its initial value.
    """

    value: float = 0.5

    def init(self, key: Key[Array, ""]) -> Float[Array, ""]:
        """The initial value."""
        del key  # unused: nothing is random here
        return jnp.float32(self.value)
