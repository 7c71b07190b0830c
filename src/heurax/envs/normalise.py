"""Running statistics that bring observations and rewards to unit scale; pure, their state carried by the agent."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = [
    "RewardScale",
    "RunningStatistics",
    "init_reward_scale",
    "init_statistics",
    "scale_rewards",
    "standardise",
    "update_statistics",
]


class RunningStatistics(NamedTuple):
    """Mean and variance of everything seen so far, element by element.

    Attributes:
        count: how many were seen.
        mean: their mean; 0 before the first.
        variance: their (biased) variance; 1 before the first.
    """

    count: Float[Array, ""]
    mean: Float[Array, "*shape"]
    variance: Float[Array, "*shape"]


class RewardScale(NamedTuple):
    """What `scale_rewards` carries: statistics of discounted returns, and the N returns so far."""

    statistics: RunningStatistics
    returns: Float[Array, " num_envs"]


def init_statistics(shape: tuple[int, ...]) -> RunningStatistics:
    """Statistics of nothing; `standardise` leaves values as they are (up to its epsilon).

    >>> init_statistics((2,)).mean.shape
    (2,)
    """
    return RunningStatistics(jnp.zeros((), jnp.float32), jnp.zeros(shape, jnp.float32), jnp.ones(shape, jnp.float32))


def update_statistics(statistics: RunningStatistics, batch: Float[Array, "..."]) -> RunningStatistics:
    """Add a batch, exactly as if its values had been seen one by one.

    With n seen before, m in the batch, and d the difference of the means:

        mean <- mean + d m / (n + m),    variance <- (n variance + m variance_m + d^2 n m / (n + m)) / (n + m).

    Source: the parallel algorithm of Chan, Golub & LeVeque 1979.

    Args:
        statistics: so far.
        batch: values with any number of axes before those of the statistics; not empty.

    Returns:
        The statistics of both.
    """
    axes = tuple(range(batch.ndim - statistics.mean.ndim))
    m = 1.0
    for axis in axes:
        m *= batch.shape[axis]
    total = statistics.count + m
    share = m / total
    delta = batch.mean(axes) - statistics.mean
    return RunningStatistics(
        count=total,
        mean=statistics.mean + delta * share,
        variance=(1 - share) * (statistics.variance + delta**2 * share) + share * batch.var(axes),
    )


def standardise(
    statistics: RunningStatistics, value: Float[Array, "..."], clip: float = 10.0, epsilon: float = 1e-8
) -> Float[Array, "..."]:
    """`clip((value - mean) / sqrt(variance + epsilon), -clip, clip)`.

    Args:
        statistics: of such values.
        value: with any number of axes before those of the statistics.
        clip: the largest magnitude of the result; > 0.
        epsilon: keeps constants from dividing by zero; > 0.

    Returns:
        An array like `value`.
    """
    lead = (1,) * (value.ndim - statistics.mean.ndim)
    mean, variance = (x.reshape(lead + x.shape) for x in (statistics.mean, statistics.variance))
    return jnp.clip((value - mean) / jnp.sqrt(variance + epsilon), -clip, clip)


def init_reward_scale(num_envs: int) -> RewardScale:
    """A scale that has seen nothing.

    >>> init_reward_scale(3).returns.shape
    (3,)
    """
    return RewardScale(init_statistics(()), jnp.zeros((num_envs,), jnp.float32))


def scale_rewards(
    scale: RewardScale,
    reward: Float[Array, " num_envs"],
    ended: Bool[Array, " num_envs"],
    discount: float,
    clip: float = 10.0,
    epsilon: float = 1e-8,
) -> tuple[RewardScale, Float[Array, " num_envs"]]:
    """Divide rewards by the standard deviation of the discounted return; one step of N environments.

        return <- discount * return + reward,    scaled = clip(reward / sqrt(variance of returns + epsilon)).

    The reward is not centred, which would change the problem. Source: VecNormalize of OpenAI Baselines.

    Args:
        scale: so far.
        reward: of this step.
        ended: episodes that end with this step; the return of the next starts at 0.
        discount: in [0, 1].
        clip: the largest magnitude of the result; > 0.
        epsilon: > 0.

    Returns:
        The scale, this step's rewards included, and the scaled rewards.
    """
    returns = discount * scale.returns + reward
    statistics = update_statistics(scale.statistics, returns)
    scaled = jnp.clip(reward / jnp.sqrt(statistics.variance + epsilon), -clip, clip)
    return RewardScale(statistics, jnp.where(ended, 0.0, returns)), scaled
