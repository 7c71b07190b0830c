"""From a rollout to what policy-gradient methods learn from: advantages, targets, log-probabilities."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from heurax.inner.agent import Agent
from heurax.inner.experience import Experience, Observe
from heurax.inner.gae import gae

__all__ = ["Samples", "make_samples"]


class Samples(NamedTuple):
    """Experience to learn from. Leaves begin with the axis that is dealt into minibatches.

    That axis has single steps for an agent without memory; whole trajectories `[units, time, ...]` for one with.

    Attributes:
        memory: of the agent before the (first) step.
        observation: as the agent saw it.
        action: taken.
        log_prob: of the action under the policy that took it.
        value: of the state, before learning.
        advantage: of the action.
        target: of the value function.
        ended: whether the episode ended with the step.
    """

    memory: Any
    observation: Float[Array, "units ..."]
    action: Array
    log_prob: Float[Array, "units ..."]
    value: Float[Array, "units ..."]
    advantage: Float[Array, "units ..."]
    target: Float[Array, "units ..."]
    ended: Bool[Array, "units ..."]


def make_samples(
    agent: Agent,
    params: Any,
    observe: Observe,
    experience: Experience,
    last_memory: Any,
    last_observation: Float[Array, "num_envs ..."],
    discount: float,
    trace_decay: float,
) -> Samples:
    """Estimate the advantages of a rollout.

    The values of all states are computed here, in one batch. A step that a time limit has cut off is bootstrapped from
    the observation that it reached, whose value is computed only if there is such a step in the rollout.

    Args:
        agent: who acted.
        params: with which it acted.
        observe: how it sees observations.
        experience: the rollout, with the rewards to learn from.
        last_memory: of the agent after the rollout.
        last_observation: after the rollout, to be acted on next.
        discount: as for `gae`.
        trace_decay: likewise.
    """
    look = jax.vmap(agent.step, (None, 0, 0))
    look_at_rollout = jax.vmap(look, (None, 0, 0))
    observation = observe(experience.observation)
    seen = look_at_rollout(params, experience.memory, observation)
    last = look(params, last_memory, observe(last_observation))
    value_after = jnp.concatenate([seen.value[1:], last.value[None]])

    # Where an episode was cut off, the observation after the step belongs to another episode.
    cut = experience.ended & ~experience.terminated

    def of_true_last() -> Float[Array, "time num_envs"]:
        return look_at_rollout(params, seen.memory, observe(experience.next_observation)).value

    next_value = jnp.where(cut, jax.lax.cond(jnp.any(cut), of_true_last, lambda: value_after), value_after)

    along_time = functools.partial(gae, discount=discount, trace_decay=trace_decay)
    advantage = jax.vmap(along_time, 1, 1)(
        experience.reward, seen.value, next_value, experience.terminated, experience.ended
    )
    log_prob = jax.vmap(jax.vmap(agent.policy.log_prob, (None, 0, 0)), (None, 0, 0))(
        params, experience.outputs, experience.action
    )
    samples = Samples(
        memory=experience.memory,
        observation=observation,
        action=experience.action,
        log_prob=log_prob,
        value=seen.value,
        advantage=advantage,
        target=advantage + seen.value,
        ended=experience.ended,
    )
    if agent.network.has_memory:
        samples = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), samples)
        return samples._replace(memory=jax.tree.map(lambda x: x[:, 0], samples.memory))
    return jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), samples)
