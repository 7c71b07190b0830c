"""What an agent lives through: rollouts for learning, and episodes for judging."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.envs import Box, Environment, VectorState, refresh_resets, reset_batch, step_batch
from heurax.inner.agent import Agent

__all__ = [
    "Episodes",
    "Experience",
    "Observe",
    "collect",
    "evaluate",
    "expected_return",
    "floor_return",
    "recent_episodes",
]

Observe = Callable[[Float[Array, "..."]], Float[Array, "..."]]
"""How an agent sees observations: normalised, or as they are."""


class Experience(NamedTuple):
    """A rollout of N copies of an environment; every leaf begins with `[time, N]`.

    Attributes:
        memory: of the agent before the step.
        observation: acted on.
        outputs: what the policy was made from.
        action: taken.
        reward: received.
        next_observation: what the step reached, also where it ended an episode.
        terminated: the process ended.
        ended: the episode ended.
        episode_return: so far, over the whole episode where `ended`.
        episode_length: likewise.
    """

    memory: Any
    observation: Float[Array, "..."]
    outputs: Float[Array, "..."]
    action: Array
    reward: Float[Array, "..."]
    next_observation: Float[Array, "..."]
    terminated: Bool[Array, "..."]
    ended: Bool[Array, "..."]
    episode_return: Float[Array, "..."]
    episode_length: Int[Array, "..."]


class Episodes(NamedTuple):
    """Means over the episodes that last ended; both 0 before the first.

    Attributes:
        mean_return: the sum of rewards of an episode.
        mean_length: its number of steps.
    """

    mean_return: Float[Array, ""]
    mean_length: Float[Array, ""]


def collect(
    agent: Agent,
    params: Any,
    env: Environment,
    level: Any,
    state: VectorState,
    memory: Any,
    observe: Observe,
    key: Key[Array, ""],
    num_steps: int,
) -> tuple[VectorState, Any, Experience]:
    """Act for a number of steps in every copy of an environment.

    All noise of the policy is drawn before the first step; the value of no state is computed. Actions are clipped to
    the bounds of a `Box` before the environment sees them, and recorded as they were.

    Args:
        agent: who acts.
        params: the agent's parameters.
        env: the environment.
        level: shared by all copies.
        state: of the copies.
        memory: of the agent in each copy.
        observe: how the agent sees observations; recorded ones are as they were.
        key: a typed PRNG key.
        num_steps: >= 1.

    Returns:
        The environments' state, the agent's memory, and the rollout.
    """
    key_resets, key_noise, key_steps = jax.random.split(key, 3)
    state = refresh_resets(env, level, state, key_resets)
    num_envs = state.episode_length.shape[0]
    noise = agent.policy.noise(agent.action_space, key_noise, (num_steps, num_envs))

    def step(carry: tuple[VectorState, Any], now: tuple[Array, Array]) -> tuple[tuple[VectorState, Any], Experience]:
        (state, memory), (noise, key) = carry, now
        seen = jax.vmap(agent.step, (None, 0, 0))(params, memory, observe(state.observation))
        action = jax.vmap(agent.policy.sample, (None, 0, 0))(params, seen.outputs, noise)
        next_state, result = step_batch(env, level, state, to_environment(agent, action), key)
        return (next_state, jax.vmap(agent.remember)(result.ended, seen.memory)), Experience(
            memory=memory,
            observation=state.observation,
            outputs=seen.outputs,
            action=action,
            reward=result.reward,
            next_observation=result.next_observation,
            terminated=result.terminated,
            ended=result.ended,
            episode_return=result.episode_return,
            episode_length=result.episode_length,
        )

    (state, memory), experience = jax.lax.scan(step, (state, memory), (noise, jax.random.split(key_steps, num_steps)))
    return state, memory, experience


def recent_episodes(before: Episodes, experience: Experience) -> Episodes:
    """Means over the episodes that ended in a rollout, or what they were before if none did."""
    num_ended = jnp.sum(experience.ended)
    weight = 1 / jnp.maximum(num_ended, 1).astype(jnp.float32)

    def mean(values: Array, otherwise: Array) -> Array:
        total = jnp.sum(jnp.where(experience.ended, values.astype(jnp.float32), 0.0))
        return jnp.where(num_ended > 0, weight * total, otherwise)

    return Episodes(
        mean(experience.episode_return, before.mean_return), mean(experience.episode_length, before.mean_length)
    )


def expected_return(episodes: Episodes, state: VectorState) -> Float[Array, ""]:
    """The mean return of recent episodes; until the first has ended, the mean return so far of those under way."""
    return jnp.where(episodes.mean_length > 0, episodes.mean_return, jnp.mean(state.episode_return))


def floor_return(value: Float[Array, ""], floor: float) -> tuple[Float[Array, ""], Bool[Array, ""]]:
    """A return as it is reported, not below `floor` and finite, and whether it was not finite.

    >>> [x.item() for x in floor_return(jnp.float32(jnp.nan), -5.0)]
    [-5.0, True]
    """
    finite = jnp.isfinite(value)
    return jnp.maximum(jnp.where(finite, value, floor), floor), ~finite


def evaluate(
    agent: Agent,
    params: Any,
    env: Environment,
    level: Any,
    observe: Observe,
    key: Key[Array, ""],
    num_episodes: int,
    max_steps: int,
    greedy: bool,
) -> Float[Array, " num_episodes"]:
    """Returns of fresh episodes, side by side.

    Args:
        agent: who acts.
        params: the agent's parameters.
        env: the environment.
        level: shared by all episodes.
        observe: how the agent sees observations.
        key: a typed PRNG key.
        num_episodes: >= 1.
        max_steps: after which an episode that has not ended counts with its return so far; >= 1.
        greedy: whether the most likely action is taken, or a sampled one.
    """
    key_reset, key_steps = jax.random.split(key)
    state = reset_batch(env, level, key_reset, num_episodes)
    memory = agent.memories(num_episodes)

    def going(carry: Any) -> Bool[Array, ""]:
        step, _, _, over, _ = carry
        return (step < max_steps) & ~jnp.all(over)

    def advance(carry: Any) -> Any:
        step, state, memory, over, total = carry
        key_noise, key_env = jax.random.split(jax.random.fold_in(key_steps, step))
        seen = jax.vmap(agent.step, (None, 0, 0))(params, memory, observe(state.observation))
        if greedy:
            action = jax.vmap(agent.policy.mode, (None, 0))(params, seen.outputs)
        else:
            noise = agent.policy.noise(agent.action_space, key_noise, (num_episodes,))
            action = jax.vmap(agent.policy.sample, (None, 0, 0))(params, seen.outputs, noise)
        state, result = step_batch(env, level, state, to_environment(agent, action), key_env)
        total = jnp.where(over, total, result.episode_return)
        return step + 1, state, seen.memory, over | result.ended, total

    zeros = jnp.zeros((num_episodes,), jnp.float32)
    start = (jnp.zeros([], jnp.int32), state, memory, jnp.zeros((num_episodes,), jnp.bool), zeros)
    return jax.lax.while_loop(going, advance, start)[4]


def to_environment(agent: Agent, action: Array) -> Array:
    """Actions as the environment is given them: within the bounds and in the shape of its space."""
    space = agent.action_space
    if not isinstance(space, Box):
        return action
    return jnp.clip(action, space.low, space.high).reshape((action.shape[0], *space.shape))
