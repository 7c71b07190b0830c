"""Delayed chains: only the first action counts, and it is paid at the end."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs.base import Environment, EnvStep
from heurax.envs.spaces import Discrete

__all__ = ["ChainState", "DelayedChain"]


class ChainState(NamedTuple):
    """Which first action is right, whether it was taken (1, -1; 0 before), and the steps since the episode began."""

    right: Int[Array, ""]
    choice: Int[Array, ""]
    time: Int[Array, ""]


@dataclass(frozen=True)
class DelayedChain(Environment):
    """A corridor whose end pays 1 if the first of two actions was the right one, and -1 if not.

    - Level: the length of the chain, int32, uniform in [min_length, max_length].
    - Reset: one of the two actions is right in this episode; each with probability 1/2.
    - Action: 0 or 1; only the first of an episode matters.
    - Observation, float32 [2 + max_length + 1 + distractors]: the right action as -1 or 1; whether it was taken, 1 or
      -1, and 0 before the first action; the steps so far, one-hot; distractors, each 0 or 1 at random in every step.
    - Reward: at the end, 1 or -1. Before, from the second step on, 0, or with `noisy` 1 or -1 at random.
    - Termination: after as many steps as the chain is long. Never truncates.

    Source: Oh et al. 2020, arXiv:2007.08794 (short: 5 to 30 steps, long: 5 to 50, distractor: 20 of them), after the
    umbrella problem of bsuite. Departure: the steps so far are observed.

    Args:
        min_length: >= 1.
        max_length: >= min_length.
        noisy: whether the way to the end pays at random.
        distractors: >= 0.
    """

    min_length: int = 5
    max_length: int = 30
    noisy: bool = False
    distractors: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.min_length <= self.max_length:
            raise ValueError(
                f"min_length must be in [1, max_length], got {self.min_length} with max_length {self.max_length}"
            )
        if self.distractors < 0:
            raise ValueError(f"distractors must be >= 0, got {self.distractors}")

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """A vector."""
        return (3 + self.max_length + self.distractors,)

    @property
    def action_space(self) -> Discrete:
        """Two."""
        return Discrete(2)

    def sample(self, key: Key[Array, ""]) -> Int[Array, ""]:
        """Draw the length."""
        return jax.random.randint(key, (), self.min_length, self.max_length + 1)

    def reset(self, level: Int[Array, ""], key: Key[Array, ""]) -> tuple[ChainState, Float[Array, " observation"]]:
        """Draw which action is right."""
        del level  # unused: every chain begins alike
        key_right, key_distractors = jax.random.split(key)
        right = jax.random.bernoulli(key_right).astype(jnp.int32)
        state = ChainState(right, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        return state, self._observe(state, key_distractors)

    def step(
        self, level: Int[Array, ""], state: ChainState, action: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[ChainState, EnvStep]:
        """Go on; note the first action."""
        key_noise, key_distractors = jax.random.split(key)
        now = jnp.where(action == state.right, 1, -1)
        state = ChainState(state.right, jnp.where(state.time == 0, now, state.choice), state.time + 1)
        end = state.time >= level
        way = jnp.zeros((), jnp.float32)
        if self.noisy:
            way = jnp.where(state.time > 1, jnp.where(jax.random.bernoulli(key_noise), 1.0, -1.0), 0.0)
        return state, EnvStep(
            observation=self._observe(state, key_distractors),
            reward=jnp.where(end, state.choice.astype(jnp.float32), way),
            terminated=end,
            truncated=jnp.zeros((), jnp.bool),
        )

    def _observe(self, state: ChainState, key: Key[Array, ""]) -> Float[Array, " observation"]:
        context = jnp.stack([2 * state.right - 1, state.choice])
        steps = (jnp.arange(self.max_length + 1, dtype=jnp.int32) == state.time).astype(jnp.int32)
        seen = jnp.concatenate([context, steps])
        if self.distractors:
            noise = jax.random.bernoulli(key, shape=(self.distractors,)).astype(jnp.int32)
            seen = jnp.concatenate([seen, noise])
        return seen.astype(jnp.float32)
