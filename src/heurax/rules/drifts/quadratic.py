"""A quadratic drift, as in simple policy optimization."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.drifts.fixed import FixedDrift

__all__ = ["QuadraticDrift"]


@dataclass(frozen=True)
class QuadraticDrift(FixedDrift):
    """`f = |A| (r - 1)^2 / (2 epsilon)`: `r A - f` is largest at `r = 1 + epsilon sign(A)`.

    Unlike PPO's, the gradient pulls a ratio back that has gone further than that.

    Source: simple policy optimization (SPO), Xie et al. 2024, arXiv:2401.16025.

    Args:
        epsilon: how far from 1 the best ratio is; > 0.

    >>> drift = QuadraticDrift(epsilon=0.2).drift(())
    >>> round(float(drift(jnp.log(1.2), jnp.float32(2.0), jnp.float32(0.0))), 4)
    0.2
    """

    epsilon: float = 0.2

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be > 0, got {self.epsilon}")

    def evaluate(self, log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "..."]:
        """The parabola around ratio 1."""
        return jnp.abs(advantage) * jnp.expm1(log_ratio) ** 2 / (2 * self.epsilon)
