"""Scale-free features of a training loss: how averages of the loss at neighbouring time scales compare.

Averages of the loss are kept at 10 time scales between 10 updates and the horizon. Feature `j` compares the average at
time scale `j` with the slower one at `j + 1`, both above the smallest value that the faster one ever had: it is
negative while the loss falls, and close to 0 when it stands still.

Source: `BufferLossAccumulators` of google/learned_optimization.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ["NUM_LOSS_FEATURES", "LossAverages", "init_loss_averages", "loss_features", "update_loss_averages"]

NUM_TIMESCALES = 10
NUM_LOSS_FEATURES = NUM_TIMESCALES - 1


class LossAverages(NamedTuple):
    """Exponential moving averages of the loss, without bias correction, and the minima of the corrected ones."""

    means: Float[Array, " 10"]
    minima: Float[Array, " 10"]


def init_loss_averages(dtype: jnp.dtype) -> LossAverages:
    """Averages that have seen no loss."""
    return LossAverages(jnp.zeros((NUM_TIMESCALES,), dtype), jnp.full((NUM_TIMESCALES,), jnp.inf, dtype))


def update_loss_averages(
    averages: LossAverages, loss: Float[Array, ""], count: Int[Array, ""], horizon: int
) -> LossAverages:
    """Add a loss, capped at twice the largest average so that a single spike does not drown the rest.

    Args:
        averages: the averages so far.
        loss: the training loss, in their dtype.
        count: number of losses that they have seen.
        horizon: the longest time scale, in updates.
    """
    decays = _decays(horizon, averages.means.dtype)
    correction = 1 - decays ** (count + 1).astype(decays.dtype)
    cap = jnp.where(count == 0, loss, jnp.max(averages.means / correction))
    loss = jnp.minimum(2 * jnp.abs(cap), loss)
    means = decays * averages.means + (1 - decays) * loss
    return LossAverages(means, jnp.minimum(averages.minima, means / correction))


def loss_features(averages: LossAverages, count: Int[Array, ""], horizon: int) -> Float[Array, " 9"]:
    """`clip((m_j - min_j) / max(1e-8, m_(j+1) - min_j) - 1, -1, 1)`, zero until three losses have been seen.

    Args:
        averages: averages that have seen the current loss.
        count: number of losses that they had seen before it.
        horizon: the longest time scale, in updates.
    """
    decays = _decays(horizon, averages.means.dtype)
    means = averages.means / (1 - decays ** (count + 1).astype(decays.dtype))
    minima = averages.minima[:-1]
    ratio = (means[:-1] - minima) / jnp.maximum(1e-8, means[1:] - minima)
    return jnp.where(count < 2, 0.0, jnp.clip(ratio - 1, -1, 1))


def _decays(horizon: int, dtype: jnp.dtype) -> Float[Array, " 10"]:
    """`exp(-1 / h)` for time scales `h` from 10 to `horizon`, evenly spaced in their logarithm."""
    exponents = jnp.linspace(1.0, jnp.log10(jnp.asarray(horizon, dtype)), NUM_TIMESCALES, dtype=dtype)
    return jnp.exp(-1 / 10**exponents)
