"""Generalised advantage estimation, with time limits treated as what they are."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["gae"]


def gae(
    reward: Float[Array, " time"],
    value: Float[Array, " time"],
    next_value: Float[Array, " time"],
    terminated: Bool[Array, " time"],
    ended: Bool[Array, " time"],
    discount: float,
    trace_decay: float,
) -> Float[Array, " time"]:
    """Advantages along one trajectory, which may run through the ends of episodes.

        delta_t = r_t + discount (1 - terminated_t) v(s'_t) - v(s_t)
        A_t     = delta_t + discount trace_decay (1 - ended_t) A_{t+1},    A_T = 0

    `s'_t` is what the step itself reached. Where a time limit has cut an episode off, its value stands for what would
    have come; the trace ends there, because `s_{t+1}` belongs to another episode.

    Source: Schulman et al. 2016, arXiv:1506.02438; time limits, Pardo et al. 2018, arXiv:1712.00378.

    Args:
        reward: of each step.
        value: of the state before each step.
        next_value: of the state that each step reached.
        terminated: whether the process ended with the step.
        ended: whether the episode ended with the step, for whatever reason.
        discount: of future rewards; in [0, 1].
        trace_decay: lambda, 0 for one-step errors, 1 for Monte-Carlo returns; in [0, 1].

    Returns:
        Advantages; `advantage + value` are the targets of the value function.

    >>> false = jnp.array([False, False])
    >>> gae(jnp.array([1.0, 1.0]), jnp.zeros(2), jnp.array([0.0, 4.0]), false, false, 0.5, 1.0).tolist()
    [2.5, 3.0]
    """
    delta = reward + discount * jnp.where(terminated, 0.0, next_value) - value
    decay = jnp.where(ended, 0.0, discount * trace_decay)

    def step(advantage: Float[Array, ""], now: tuple[Array, Array]) -> tuple[Array, Array]:
        delta, decay = now
        advantage = delta + decay * advantage
        return advantage, advantage

    return jax.lax.scan(step, jnp.zeros_like(delta[0]), (delta, decay), reverse=True, unroll=8)[1]
