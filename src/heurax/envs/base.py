"""Reinforcement-learning problems: an environment is a distribution over Markov decision processes of one shape."""

import abc
from typing import Any, Literal, NamedTuple

from jaxtyping import Array, Bool, Float, Key

from heurax.envs.spaces import ActionSpace

__all__ = ["EnvStep", "Environment", "Resets"]

Resets = Literal["step", "rollout", "first"]
"""Where the first states of new episodes come from: drawn in every step, drawn once per rollout, or drawn once."""


class EnvStep(NamedTuple):
    """What one step shows to the agent.

    Attributes:
        observation: of the state that was reached, also where it ends the episode; never of a state after a reset.
        reward: of the transition.
        terminated: the process has ended; nothing comes after `observation`.
        truncated: a time limit has cut the episode off; what would have come after `observation` still has a value.
            May be set together with `terminated`, which then decides.
    """

    observation: Float[Array, "*observation"]
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]


class Environment(abc.ABC):
    """A distribution over Markov decision processes with the same observation shape and action space.

    An environment is a frozen dataclass. Sampling it gives a *level*: a pytree of arrays that says which process this
    is (a map, a physics, a table), empty where there is only one. All functions are pure, written for one copy of the
    environment, and safe under `jit`, `vmap` (over levels too) and `scan`: the state is a pytree whose shapes and
    dtypes a step keeps. Observations and rewards are float32.
    """

    @property
    @abc.abstractmethod
    def observation_shape(self) -> tuple[int, ...]:
        """Of one observation."""

    @property
    @abc.abstractmethod
    def action_space(self) -> ActionSpace:
        """`Discrete` (int32 scalars) or `Box` (float32 arrays)."""

    @property
    def resets(self) -> Resets:
        """How `rollout.step_batch` begins new episodes; `"step"` unless resets are expensive."""
        return "step"

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Any:
        """Draw a level."""

    @abc.abstractmethod
    def reset(self, level: Any, key: Key[Array, ""]) -> tuple[Any, Float[Array, "*observation"]]:
        """Begin an episode: the state and its observation."""

    @abc.abstractmethod
    def step(self, level: Any, state: Any, action: Any, key: Key[Array, ""]) -> tuple[Any, EnvStep]:
        """Take an action. Never resets: stepping on after an episode has ended has no meaning, but is safe."""
