"""The environments of MuJoCo Playground: the DeepMind control suite, walking and grasping robots."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs.base import Environment, EnvStep, Resets
from heurax.envs.foreign import as_strong, check_name, foreign_habits, import_library, like, quiet_mujoco
from heurax.envs.spaces import Box

__all__ = ["Playground", "PlaygroundState", "playground_names"]


def _registry() -> Any:
    return import_library("mujoco_playground", "playground").registry


def playground_names() -> list[str]:
    """The environments of MuJoCo Playground.

    Raises:
        HeuraxError: it is not installed.
    """
    return list(_registry().ALL_ENVS)


@functools.cache
def _make(name: str) -> tuple[Any, int]:
    """The environment on MJX in plain JAX (its default engine needs an NVIDIA GPU), and its episode length."""
    with foreign_habits(), quiet_mujoco(), jax.ensure_compile_time_eval():
        config = _registry().get_default_config(name)
        return _registry().load(name, config_overrides={"impl": "jax"}), int(config.episode_length)


@functools.cache
def _observation_shape(name: str) -> tuple[int, ...]:
    with foreign_habits():
        return _seen(jax.eval_shape(lambda: _make(name)[0].reset(jax.random.PRNGKey(0)))).shape


def _seen(state: Any) -> Any:
    """What the agent sees: where there are several observations, that which is called "state"."""
    return state.obs["state"] if isinstance(state.obs, dict) else state.obs


class PlaygroundState(NamedTuple):
    """Playground's own state, and the number of steps since the episode began."""

    inside: Any
    time: Int[Array, ""]


@dataclass(frozen=True)
class Playground(Environment):
    """An environment of MuJoCo Playground by its name: `CartpoleBalance`, `HopperHop`, `Go1JoystickFlatTerrain`, ...

    - Level: none, the empty tuple.
    - Action: `Box` of Playground's action size, in [-1, 1]; not clipped.
    - Observation, reward: Playground's own, float32; of several observations that called "state", without what only a
      critic may know.
    - Termination: Playground's `done`. Truncation: after the episode length of Playground's configuration.

    The environment itself, without the wrappers of Playground's training code, on MJX in plain JAX. Those with robots
    download the models when first constructed. Needs `pip install 'heurax[playground]'`.

    Args:
        name: the environment; `heurax list Playground` names them.
        reset_policy: where episodes begin, as for `Brax`.
    """

    name: str
    reset_policy: Resets = "rollout"

    def __post_init__(self) -> None:
        check_name("MuJoCo Playground", self.name, playground_names())
        _make(self.name)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """As Playground has it."""
        return _observation_shape(self.name)

    @property
    def action_space(self) -> Box:
        """A vector of Playground's action size."""
        return Box((_make(self.name)[0].action_size,))

    @property
    def resets(self) -> Resets:
        """The reset policy."""
        return self.reset_policy

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """There is one level."""
        del key  # unused: nothing to draw
        return ()

    def reset(self, level: tuple[()], key: Key[Array, ""]) -> tuple[PlaygroundState, Float[Array, "*observation"]]:
        """Begin an episode as Playground does."""
        del level  # unused: there is one level
        with foreign_habits():
            inside = as_strong(_make(self.name)[0].reset(jax.random.key_data(key)))
        return PlaygroundState(inside, jnp.zeros((), jnp.int32)), _seen(inside)

    def step(
        self, level: tuple[()], state: PlaygroundState, action: Float[Array, " action"], key: Key[Array, ""]
    ) -> tuple[PlaygroundState, EnvStep]:
        """Step as Playground does."""
        del level, key  # unused: there is one level, and its randomness comes from the reset
        env, episode_length = _make(self.name)
        before = jax.tree.map(lambda x: x, state.inside)  # a copy: states are written into
        with foreign_habits():
            inside = like(state.inside, env.step(before, action))
        time = state.time + 1
        return PlaygroundState(inside, time), EnvStep(
            observation=_seen(inside),
            reward=inside.reward,
            terminated=inside.done > 0,
            truncated=time >= episode_length,
        )
