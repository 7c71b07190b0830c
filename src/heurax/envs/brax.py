"""The environments of brax: rigid bodies that are to run, hop, swim, reach and balance."""

import functools
import types
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs.base import Environment, EnvStep, Resets
from heurax.envs.foreign import as_strong, check_name, foreign_habits, import_library, like, quiet_mujoco
from heurax.envs.spaces import Box

__all__ = ["Backend", "Brax", "BraxState", "brax_names"]

Backend = Literal["generalized", "positional", "spring", "mjx"]
"""The engines of brax, from faithful joints to springs; and MuJoCo's own."""


def brax_names() -> list[str]:
    """The environments of brax."""
    return sorted(import_library("brax.envs")._envs)  # its registry has no public name


@functools.cache
def _make(name: str, backend: str) -> Any:
    _mend_fluid()
    with foreign_habits(), quiet_mujoco(), jax.ensure_compile_time_eval():
        return import_library("brax.envs").get_environment(name, backend=backend)


@functools.cache
def _mend_fluid() -> None:
    """Let swimmers swim: brax 0.14.2 computes drag with `clip(a_min=...)`, which jax 0.10 no longer has."""
    fluid = import_library("brax.fluid")
    fluid.jp = types.SimpleNamespace(**{**vars(jnp), "clip": lambda x, a_min: jnp.maximum(x, a_min)})


@functools.cache
def _observation_size(name: str, backend: str) -> int:
    with foreign_habits():
        return jax.eval_shape(lambda: _make(name, backend).reset(jax.random.PRNGKey(0))).obs.shape[-1]


class BraxState(NamedTuple):
    """Brax's own state, and the number of steps since the episode began."""

    inside: Any
    time: Int[Array, ""]


@dataclass(frozen=True)
class Brax(Environment):
    """An environment of brax by its name: `ant`, `hopper`, `halfcheetah`, `inverted_pendulum`, ...

    - Level: none, the empty tuple.
    - Action: `Box` of brax's action size, in [-1, 1]; not clipped.
    - Observation, reward: brax's own, float32.
    - Termination: brax's `done`.
    - Truncation: after `episode_length` steps.

    The environment itself, without the wrappers of brax's training code; the physics of brax are no longer developed.

    Args:
        name: the environment; `heurax list Brax` names them.
        backend: the engine. Springs are the fastest; not every environment has every engine.
        episode_length: the time limit in steps; >= 1.
        reset_policy: where episodes begin. "rollout" draws one start per copy and rollout; "first" keeps those of the
            very first reset, as brax's training wrapper does; "step" draws one whenever an episode ends, and costs a
            reset in every step.
    """

    name: str
    backend: Backend = "spring"
    episode_length: int = 1000
    reset_policy: Resets = "rollout"

    def __post_init__(self) -> None:
        check_name("brax", self.name, brax_names())
        if self.episode_length < 1:
            raise ValueError(f"episode_length must be >= 1, got {self.episode_length}")
        try:
            _make(self.name, self.backend)
        except ValueError as error:
            raise ValueError(f"backend of {self.name}: {error}") from error

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """A vector of brax's observation size."""
        return (_observation_size(self.name, self.backend),)

    @property
    def action_space(self) -> Box:
        """A vector of brax's action size."""
        return Box((_make(self.name, self.backend).action_size,))

    @property
    def resets(self) -> Resets:
        """The reset policy."""
        return self.reset_policy

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """There is one level."""
        del key  # unused: nothing to draw
        return ()

    def reset(self, level: tuple[()], key: Key[Array, ""]) -> tuple[BraxState, Float[Array, " observation"]]:
        """Begin an episode as brax does."""
        del level  # unused: there is one level
        with foreign_habits():
            inside = as_strong(_make(self.name, self.backend).reset(jax.random.key_data(key)))
        return BraxState(inside, jnp.zeros((), jnp.int32)), inside.obs

    def step(
        self, level: tuple[()], state: BraxState, action: Float[Array, " action"], key: Key[Array, ""]
    ) -> tuple[BraxState, EnvStep]:
        """Step as brax does."""
        del level, key  # unused: there is one level, and it is deterministic
        before = jax.tree.map(lambda x: x, state.inside)  # a copy: brax writes into the dictionaries of its states
        with foreign_habits():
            inside = like(state.inside, _make(self.name, self.backend).step(before, action))
        time = state.time + 1
        return BraxState(inside, time), EnvStep(
            observation=inside.obs,
            reward=inside.reward,
            terminated=inside.done > 0,
            truncated=time >= self.episode_length,
        )
