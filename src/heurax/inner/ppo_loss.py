"""What PPO minimises on a minibatch."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.inner.agent import Agent
from heurax.inner.samples import Samples
from heurax.rules import DriftFunction

__all__ = ["MAX_LOG_RATIO", "ppo_loss"]

MAX_LOG_RATIO = 20.0
"""Log-ratios are clipped to this magnitude, beyond which their exponentials could cancel to NaN in float32."""


def ppo_loss(
    params: Any,
    agent: Agent,
    drift: DriftFunction,
    samples: Samples,
    progress: Float[Array, ""],
    *,
    normalise_advantages: bool,
    entropy_weight: float,
    value_weight: float,
    value_clip: float | None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """The loss, and what it is made of.

        policy loss = -mean(r A - drift(log r, A, progress)),   r = pi(a | s) / pi_old(a | s)
        value loss  = mean(max((v - target)^2, (v_old + clip(v - v_old) - target)^2)) / 2
        loss        = policy loss + value_weight * value loss - entropy_weight * mean entropy

    Args:
        params: of the agent.
        agent: who learns.
        drift: keeps the new policy near the old one.
        samples: a minibatch.
        progress: fraction of training that is over.
        normalise_advantages: as the fields of `PPO`.
        entropy_weight: likewise.
        value_weight: likewise.
        value_clip: likewise.

    Returns:
        The loss, and scalars by name; `kl` is the mean of `r - 1 - log r`.
    """
    if agent.network.has_memory:
        outputs, value = jax.vmap(agent.unroll, (None, 0, 0, 0))(
            params, samples.memory, samples.observation, samples.ended
        )
        outputs, value = outputs.reshape(-1, outputs.shape[-1]), value.ravel()
    else:
        _, outputs, value = jax.vmap(agent.step, (None, 0, 0))(params, samples.memory, samples.observation)
    action = samples.action.reshape((value.shape[0], *samples.action.shape[samples.value.ndim :]))
    log_prob_old, value_old, advantage, target = (
        x.ravel() for x in (samples.log_prob, samples.value, samples.advantage, samples.target)
    )
    log_prob = jax.vmap(agent.policy.log_prob, (None, 0, 0))(params, outputs, action)
    entropy = jnp.mean(jax.vmap(agent.policy.entropy, (None, 0))(params, outputs))
    if normalise_advantages:
        advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)

    log_ratio = jnp.clip(log_prob - log_prob_old, -MAX_LOG_RATIO, MAX_LOG_RATIO)
    ratio = jnp.exp(log_ratio)
    penalty = drift(log_ratio, advantage, progress)
    policy_loss = -jnp.mean(ratio * advantage - penalty)
    errors = (value - target) ** 2
    if value_clip is not None:
        clipped = value_old + jnp.clip(value - value_old, -value_clip, value_clip)
        errors = jnp.maximum(errors, (clipped - target) ** 2)
    value_loss = 0.5 * jnp.mean(errors)
    loss = policy_loss + value_weight * value_loss - entropy_weight * entropy
    return loss, {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "drift": jnp.mean(penalty),
        "kl": jnp.mean(ratio - 1 - log_ratio),
    }
