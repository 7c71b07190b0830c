"""The drift of PPO's clipped objective."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.drifts.fixed import FixedDrift

__all__ = ["PPOClip"]


@dataclass(frozen=True)
class PPOClip(FixedDrift):
    """`f = relu((r - clip(r, 1 - epsilon, 1 + epsilon)) A)`, with which `r A - f` is PPO's clipped objective.

    Sources: the objective, Schulman et al. 2017, arXiv:1707.06347; as a drift, Kuba et al. 2022, arXiv:2201.02373.

    Args:
        epsilon: how far the ratio may move from 1 before the gradient ends; > 0.

    >>> drift = PPOClip(epsilon=0.2).drift(())
    >>> round(float(drift(jnp.log(1.5), jnp.float32(2.0), jnp.float32(0.0))), 4)
    0.6
    """

    epsilon: float = 0.2

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be > 0, got {self.epsilon}")

    def evaluate(self, log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "..."]:
        """The part of `r A` that clipping takes away."""
        ratio = jnp.exp(log_ratio)
        return jax.nn.relu((ratio - jnp.clip(ratio, 1 - self.epsilon, 1 + self.epsilon)) * advantage)
