"""Many copies of an environment that begin a new episode as soon as one ends, with the statistics of their episodes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.envs.base import Environment

__all__ = ["VectorState", "VectorStep", "refresh_resets", "reset_batch", "step_batch"]


class VectorState(NamedTuple):
    """The state of N copies of an environment on one level.

    Attributes:
        state: the environments' states, with a leading axis N.
        observation: what to act on.
        spare: N states and observations from which new episodes begin; empty where `env.resets == "step"`.
        episode_return: the sum of rewards since the episode began.
        episode_length: the number of steps since the episode began.
    """

    state: Any
    observation: Float[Array, "num_envs *observation"]
    spare: Any
    episode_return: Float[Array, " num_envs"]
    episode_length: Int[Array, " num_envs"]


class VectorStep(NamedTuple):
    """One step of N copies of an environment.

    Attributes:
        observation: what to act on next: the first of the new episode where one has ended.
        next_observation: what the step itself reached: the last of the old episode where one has ended. Bootstrap from
            it unless `terminated`.
        reward: of the step.
        terminated: the process has ended.
        truncated: a time limit has cut the episode off.
        ended: `terminated | truncated`: an episode ended with this step.
        episode_return: of the episode that this step belongs to, so far; where `ended`, of the whole episode.
        episode_length: likewise.
    """

    observation: Float[Array, "num_envs *observation"]
    next_observation: Float[Array, "num_envs *observation"]
    reward: Float[Array, " num_envs"]
    terminated: Bool[Array, " num_envs"]
    truncated: Bool[Array, " num_envs"]
    ended: Bool[Array, " num_envs"]
    episode_return: Float[Array, " num_envs"]
    episode_length: Int[Array, " num_envs"]


def reset_batch(env: Environment, level: Any, key: Key[Array, ""], num_envs: int) -> VectorState:
    """Begin an episode in each of `num_envs` copies of an environment.

    Args:
        env: the environment.
        level: one level, shared by all copies.
        key: gives every copy its own start.
        num_envs: how many copies, N; >= 1.

    Returns:
        Their state. Vmap the function over levels and keys for several levels.
    """
    state, observation = jax.vmap(env.reset, (None, 0))(level, jax.random.split(key, num_envs))
    return VectorState(
        state=state,
        observation=observation,
        spare=() if env.resets == "step" else (state, observation),
        episode_return=jnp.zeros((num_envs,), jnp.float32),
        episode_length=jnp.zeros((num_envs,), jnp.int32),
    )


def refresh_resets(env: Environment, level: Any, state: VectorState, key: Key[Array, ""]) -> VectorState:
    """Draw new first states for the episodes to come; call it once per rollout.

    Does something only where `env.resets == "rollout"`: there, episodes that end in the same copy between two calls are
    followed by episodes with the same start. Under `"first"` they have the same start for ever, as in brax's training
    wrapper; under `"step"` every episode's start is drawn when it begins.
    """
    if env.resets != "rollout":
        return state
    num_envs = state.episode_length.shape[0]
    return state._replace(spare=jax.vmap(env.reset, (None, 0))(level, jax.random.split(key, num_envs)))


def step_batch(
    env: Environment, level: Any, state: VectorState, action: Any, key: Key[Array, ""]
) -> tuple[VectorState, VectorStep]:
    """Step every copy, and begin a new episode where one has ended.

    Args:
        env: the environment.
        level: one level, shared by all copies.
        state: of N copies.
        action: with a leading axis N.
        key: randomness of the steps and of the resets.

    Returns:
        The new state, whose shapes and dtypes are those of the old, and what happened.
    """
    num_envs = state.episode_length.shape[0]
    keys_step, keys_reset = jax.random.split(key, (2, num_envs))
    stepped, step = jax.vmap(env.step, (None, 0, 0, 0))(level, state.state, action, keys_step)
    fresh = jax.vmap(env.reset, (None, 0))(level, keys_reset) if env.resets == "step" else state.spare
    ended = step.terminated | step.truncated
    next_state, observation = select(ended, fresh, (stepped, step.observation))
    episode_return = state.episode_return + step.reward
    episode_length = state.episode_length + 1
    result = VectorStep(
        observation=observation,
        next_observation=step.observation,
        reward=step.reward,
        terminated=step.terminated,
        truncated=step.truncated,
        ended=ended,
        episode_return=episode_return,
        episode_length=episode_length,
    )
    return VectorState(
        state=next_state,
        observation=observation,
        spare=state.spare,
        episode_return=jnp.where(ended, 0.0, episode_return),
        episode_length=jnp.where(ended, 0, episode_length),
    ), result


def select(condition: Bool[Array, " num_envs"], true: Any, false: Any) -> Any:
    """`where` on trees whose leaves have a leading axis that `condition` goes along."""

    def leaf(x: Array, y: Array) -> Array:
        return jnp.where(condition.reshape((-1,) + (1,) * (x.ndim - 1)), x, y)

    return jax.tree.map(leaf, true, false)
