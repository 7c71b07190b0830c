"""Environments around an environment: time limits, repeated actions, stacked frames, clipped actions, new levels."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs.base import Environment, EnvStep, Resets
from heurax.envs.spaces import ActionSpace, Box

__all__ = ["ActionRepeat", "ClipAction", "FrameStack", "LevelPerEpisode", "LevelState", "TimeLimit", "TimedState"]


@dataclass(frozen=True)
class Wrapper(Environment):
    """An environment that differs from another in something: has its shapes, levels and resets unless it says so.

    Args:
        env: the other.
    """

    env: Environment

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Of the environment inside."""
        return self.env.observation_shape

    @property
    def action_space(self) -> ActionSpace:
        """Of the environment inside."""
        return self.env.action_space

    @property
    def resets(self) -> Resets:
        """Of the environment inside."""
        return self.env.resets

    def sample(self, key: Key[Array, ""]) -> Any:
        """A level of the environment inside."""
        return self.env.sample(key)

    def reset(self, level: Any, key: Key[Array, ""]) -> tuple[Any, Float[Array, "*observation"]]:
        """Begin an episode of the environment inside."""
        return self.env.reset(level, key)


class TimedState(NamedTuple):
    """A state, and the number of steps since the episode began."""

    inside: Any
    time: Int[Array, ""]


@dataclass(frozen=True)
class TimeLimit(Wrapper):
    """Truncates episodes after a number of steps; never terminates them.

    Args:
        env: the environment.
        num_steps: the length of the longest episode; >= 1.
    """

    num_steps: int

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")

    def reset(self, level: Any, key: Key[Array, ""]) -> tuple[TimedState, Float[Array, "*observation"]]:
        """Begin an episode."""
        inside, observation = self.env.reset(level, key)
        return TimedState(inside, jnp.zeros((), jnp.int32)), observation

    def step(self, level: Any, state: TimedState, action: Any, key: Key[Array, ""]) -> tuple[TimedState, EnvStep]:
        """Step, and truncate when time is up."""
        inside, step = self.env.step(level, state.inside, action, key)
        time = state.time + 1
        return TimedState(inside, time), step._replace(truncated=step.truncated | (time >= self.num_steps))


@dataclass(frozen=True)
class ActionRepeat(Wrapper):
    """Takes every action several times; the reward is the sum, the observation the last one. Stops where it ends.

    Args:
        env: the environment.
        num_repeats: steps inside per step outside; >= 1.
    """

    num_repeats: int

    def __post_init__(self) -> None:
        if self.num_repeats < 1:
            raise ValueError(f"num_repeats must be >= 1, got {self.num_repeats}")

    def step(self, level: Any, state: Any, action: Any, key: Key[Array, ""]) -> tuple[Any, EnvStep]:
        """Take the action until it was taken `num_repeats` times or the episode has ended."""

        def again(carry: tuple[Any, EnvStep], key: Key[Array, ""]) -> tuple[tuple[Any, EnvStep], None]:
            _, before = carry
            state, step = self.env.step(level, carry[0], action, key)
            step = step._replace(reward=before.reward + step.reward)
            ended = before.terminated | before.truncated
            return jax.tree.map(lambda old, new: jnp.where(ended, old, new), carry, (state, step)), None

        first, *rest = jax.random.split(key, self.num_repeats)
        carry = self.env.step(level, state, action, first)
        return jax.lax.scan(again, carry, jnp.stack(rest))[0] if rest else carry


@dataclass(frozen=True)
class FrameStack(Wrapper):
    """Shows the last observations, concatenated along their last axis, the newest last.

    An episode begins with its first observation repeated.

    Args:
        env: the environment; its observations have at least one axis.
        num_frames: how many observations; >= 1.
    """

    num_frames: int

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"num_frames must be >= 1, got {self.num_frames}")
        if not self.env.observation_shape:
            raise ValueError("env must show observations with at least one axis, got scalars")

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The last axis is `num_frames` times as long as inside."""
        *lead, channels = self.env.observation_shape
        return (*lead, channels * self.num_frames)

    def reset(
        self, level: Any, key: Key[Array, ""]
    ) -> tuple[tuple[Any, Float[Array, "*observation"]], Float[Array, "*observation"]]:
        """Begin an episode."""
        state, observation = self.env.reset(level, key)
        frames = jnp.concatenate([observation] * self.num_frames, axis=-1)
        return (state, frames), frames

    def step(
        self, level: Any, state: tuple[Any, Float[Array, "*observation"]], action: Any, key: Key[Array, ""]
    ) -> tuple[tuple[Any, Float[Array, "*observation"]], EnvStep]:
        """Step, drop the oldest observation and add the newest."""
        inside, frames = state
        inside, step = self.env.step(level, inside, action, key)
        frames = jnp.concatenate([frames[..., step.observation.shape[-1] :], step.observation], axis=-1)
        return (inside, frames), step._replace(observation=frames)


@dataclass(frozen=True)
class ClipAction(Wrapper):
    """Takes any real vector for an action, and clips it to the bounds of the space.

    Args:
        env: an environment with a `Box` of actions.
    """

    def __post_init__(self) -> None:
        if not isinstance(self.env.action_space, Box):
            raise ValueError(f"env must have a Box of actions, got {self.env.action_space}")

    def step(self, level: Any, state: Any, action: Any, key: Key[Array, ""]) -> tuple[Any, EnvStep]:
        """Clip, then step."""
        space = self.env.action_space
        assert isinstance(space, Box)
        return self.env.step(level, state, jnp.clip(action, space.low, space.high), key)


class LevelState(NamedTuple):
    """A level, and a state on it."""

    level: Any
    inside: Any


@dataclass(frozen=True)
class LevelPerEpisode(Wrapper):
    """Draws a level for every episode: the distribution over levels becomes one partially observed process.

    - Level: none, the empty tuple.

    Args:
        env: the environment.
        reset_policy: as `Resets`; drawing a level may well cost more than a step.
    """

    reset_policy: Resets = "rollout"

    @property
    def resets(self) -> Resets:
        """The reset policy."""
        return self.reset_policy

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """There is one level: that which draws levels."""
        del key  # unused: nothing to draw
        return ()

    def reset(self, level: tuple[()], key: Key[Array, ""]) -> tuple[LevelState, Float[Array, "*observation"]]:
        """Draw a level, and begin an episode on it."""
        del level  # unused: it is drawn here
        key_level, key_reset = jax.random.split(key)
        drawn = self.env.sample(key_level)
        inside, observation = self.env.reset(drawn, key_reset)
        return LevelState(drawn, inside), observation

    def step(self, level: tuple[()], state: LevelState, action: Any, key: Key[Array, ""]) -> tuple[LevelState, EnvStep]:
        """Step on the episode's level."""
        del level  # unused: it is in the state
        inside, step = self.env.step(state.level, state.inside, action, key)
        return LevelState(state.level, inside), step
