"""The environments of gymnax: classic control, MinAtar, bsuite and its own small ones."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from heurax.envs.base import Environment, EnvStep
from heurax.envs.foreign import as_strong, check_name, foreign_habits, import_library, like
from heurax.envs.spaces import ActionSpace, Box, Discrete

__all__ = ["Gymnax", "gymnax_names"]

NEEDS_DOWNLOAD = ("MNISTBandit-bsuite",)


def gymnax_names() -> list[str]:
    """The environments of gymnax, but for those that download data.

    Raises:
        HeuraxError: gymnax is not installed.
    """
    return [name for name in import_library("gymnax", "envs").registered_envs if name not in NEEDS_DOWNLOAD]


@functools.cache
def _make(name: str) -> tuple[Any, Any]:
    with foreign_habits(), jax.ensure_compile_time_eval():
        return import_library("gymnax", "envs").make(name)


@dataclass(frozen=True)
class Gymnax(Environment):
    """An environment of gymnax by its name: `CartPole-v1`, `Breakout-MinAtar`, `DeepSea-bsuite`, ...

    - Level: a value for each parameter in `ranges`, by name; every other parameter keeps gymnax's default.
    - Action: gymnax's own space, `Discrete` or `Box`.
    - Observation: gymnax's own, in float32; a state's number (FrozenLake) as a one-hot vector.
    - Reward: gymnax's own, in float32.
    - Termination and truncation: gymnax's own, told apart; episodes last as long as gymnax lets them. The last
      observation of an episode is the true one.

    Needs `pip install 'heurax[envs]'`. `heurax list Gymnax` names the environments.

    Args:
        name: the environment.
        ranges: parameters that vary between levels, as (field of gymnax's `EnvParams`, low, high), drawn uniformly.
            Empty for one level.
    """

    name: str
    ranges: tuple[tuple[str, float, float], ...] = ()

    def __post_init__(self) -> None:
        check_name("gymnax", self.name, gymnax_names())
        fields = vars(_make(self.name)[1])
        for field, low, high in self.ranges:
            if field not in fields:
                raise ValueError(f"ranges names {field!r}; parameters of {self.name} are {', '.join(fields)}")
            if low > high:
                raise ValueError(f"ranges must have low <= high, got {low} and {high} for {field}")

    @functools.cached_property
    def observation_shape(self) -> tuple[int, ...]:
        """As gymnax shows it, but one-hot where it shows a number."""
        env, params = _make(self.name)
        with foreign_habits(), jax.ensure_compile_time_eval():
            space = env.observation_space(params)
        return (space.n,) if isinstance(space, _spaces().Discrete) else tuple(space.shape)

    @functools.cached_property
    def action_space(self) -> ActionSpace:
        """As gymnax has it."""
        env, params = _make(self.name)
        with foreign_habits(), jax.ensure_compile_time_eval():
            space = env.action_space(params)
        if isinstance(space, _spaces().Discrete):
            return Discrete(space.n)
        (low,), (high,) = set(np.ravel(space.low).tolist()), set(np.ravel(space.high).tolist())
        return Box(tuple(space.shape), low, high)

    def sample(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """Draw the parameters in `ranges`."""
        keys = jax.random.split(key, len(self.ranges))
        return {
            field: jax.random.uniform(key_field, (), jnp.float32, low, high)
            for (field, low, high), key_field in zip(self.ranges, keys, strict=True)
        }

    def reset(
        self, level: dict[str, Float[Array, ""]], key: Key[Array, ""]
    ) -> tuple[Any, Float[Array, "*observation"]]:
        """Begin an episode as gymnax does."""
        env, params = _make(self.name)
        with foreign_habits():
            observation, state = env.reset_env(key, params.replace(**level))
            return as_strong(state), self._observe(observation)

    def step(
        self, level: dict[str, Float[Array, ""]], state: Any, action: Array, key: Key[Array, ""]
    ) -> tuple[Any, EnvStep]:
        """Step as gymnax does, without its automatic reset."""
        env, params = _make(self.name)
        params = params.replace(**level)
        with foreign_habits():
            observation, new_state, reward, terminated, _ = env.step_env(key, state, action, params)
            truncated = env.is_truncated(new_state, params)
            return like(state, new_state), EnvStep(
                observation=self._observe(observation),
                reward=jnp.asarray(reward, jnp.float32).reshape(()),
                terminated=jnp.asarray(terminated, jnp.bool).reshape(()),
                truncated=jnp.asarray(truncated, jnp.bool).reshape(()),
            )

    def _observe(self, observation: Array) -> Float[Array, "*observation"]:
        if observation.ndim == 0 and self.observation_shape:
            return jax.nn.one_hot(observation, self.observation_shape[0], dtype=jnp.float32)
        return jnp.asarray(observation, jnp.float32)


def _spaces() -> Any:
    return import_library("gymnax.environments.spaces", "envs")
