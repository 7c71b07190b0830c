"""The drift of PPO's objective with a Kullback-Leibler penalty."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.drifts.fixed import FixedDrift

__all__ = ["PPOKL"]


@dataclass(frozen=True)
class PPOKL(FixedDrift):
    """`f = beta (r - 1 - log r)`, an unbiased and non-negative estimate of `beta KL(pi_old || pi_new)`.

    For actions of the old policy `E[-log r]` is the divergence and `E[r - 1] = 0`; their sum is never negative, whereas
    `-log r` alone has neither (D1) nor (D3).

    Source: PPO with a fixed coefficient, Schulman et al. 2017, arXiv:1707.06347, section 4.

    Args:
        beta: the weight of the divergence; > 0.

    >>> drift = PPOKL(beta=1.0).drift(())
    >>> round(float(drift(jnp.log(2.0), jnp.float32(-1.0), jnp.float32(0.0))), 4)
    0.3069
    """

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ValueError(f"beta must be > 0, got {self.beta}")

    def evaluate(self, log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "..."]:
        """The estimate of the divergence."""
        del advantage  # unused: the penalty is the same for good and for bad actions
        # expm1(x) - x is rounding where x is small, and may then be negative.
        series = log_ratio**2 * (0.5 + log_ratio / 6 + log_ratio**2 / 24)
        return self.beta * jnp.where(jnp.abs(log_ratio) < 0.02, series, jnp.expm1(log_ratio) - log_ratio)
