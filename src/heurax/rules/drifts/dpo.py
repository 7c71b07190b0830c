"""DPO: the closed form in which the learned drift LPO was written down."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.drifts.fixed import FixedDrift

__all__ = ["DPO"]


@dataclass(frozen=True)
class DPO(FixedDrift):
    """Discovered policy optimisation.

        A >= 0:  f = relu(x - alpha tanh(x / alpha)),  x = (r - 1) A
        A < 0:   f = relu(x - beta tanh(x / beta)),    x = A log r

    Good actions may become more likely until a soft limit pulls them back; bad ones, less likely.

    Source: Lu et al. 2022, arXiv:2210.05639; the branch at A = 0 follows the authors' code.

    Args:
        alpha: the scale of the limit for good actions; > 0.
        beta: that for bad actions; > 0.

    >>> drift = DPO().drift(())
    >>> round(float(drift(jnp.log(2.0), jnp.float32(2.0), jnp.float32(0.0))), 3)
    0.477
    """

    alpha: float = 2.0
    beta: float = 0.6

    def __post_init__(self) -> None:
        for name in ("alpha", "beta"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")

    def evaluate(self, log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "..."]:
        """Either branch, by the sign of the advantage."""
        good = jnp.expm1(log_ratio) * advantage
        bad = log_ratio * advantage
        return jnp.where(
            advantage >= 0,
            jax.nn.relu(good - self.alpha * jnp.tanh(good / self.alpha)),
            jax.nn.relu(bad - self.beta * jnp.tanh(bad / self.beta)),
        )
