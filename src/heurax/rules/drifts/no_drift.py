"""No drift: the plain policy gradient with importance weights."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.drifts.fixed import FixedDrift

__all__ = ["NoDrift"]


@dataclass(frozen=True)
class NoDrift(FixedDrift):
    """`f = 0`: nothing keeps the new policy near the old one.

    >>> drift = NoDrift().drift(())
    >>> float(drift(jnp.log(2.0), jnp.float32(1.0), jnp.float32(0.0)))
    0.0
    """

    def evaluate(self, log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "..."]:
        """Zero."""
        del advantage  # unused: the drift is zero whatever it is
        return jnp.zeros_like(log_ratio)
