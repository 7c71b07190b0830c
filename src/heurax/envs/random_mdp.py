"""Random tabular Markov decision processes."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs.base import Environment, EnvStep
from heurax.envs.spaces import Discrete

__all__ = ["MDPLevel", "MDPState", "RandomMDP"]


class MDPLevel(NamedTuple):
    """One process.

    Attributes:
        successors: the states that may follow each state and action.
        cumulative: the probability of each of them or an earlier one; the last is 1.
        reward: expected, of each state and action.
    """

    successors: Int[Array, "states actions branches"]
    cumulative: Float[Array, "states actions branches"]
    reward: Float[Array, "states actions"]


class MDPState(NamedTuple):
    """The state's number, and the steps since the episode began."""

    number: Int[Array, ""]
    time: Int[Array, ""]


@dataclass(frozen=True)
class RandomMDP(Environment):
    """A Garnet: every state and action leads to a few random states with random probabilities, for a random reward.

    - Level: `MDPLevel`: distinct successors, uniformly drawn; probabilities that a stick broken at uniform places has;
      rewards standard normal.
    - Reset: a uniformly random state.
    - Action: `num_actions` of them.
    - Observation, float32: "one_hot" [num_states] or "index" [], the state's number.
    - Reward: that of the state and action, plus normal noise.
    - Termination: in every step with probability `termination`. Truncation: after `episode_length` steps.

    Source: Archibald, McKinnon & Thomas 1995.

    Args:
        num_states: >= 2.
        num_actions: >= 1.
        branching: successors of a state and action; in [1, num_states].
        termination: in [0, 1].
        reward_noise: standard deviation; >= 0.
        episode_length: >= 1.
        observation: what the agent sees.
    """

    num_states: int = 20
    num_actions: int = 4
    branching: int = 3
    termination: float = 0.0
    reward_noise: float = 0.0
    episode_length: int = 50
    observation: Literal["one_hot", "index"] = "one_hot"

    def __post_init__(self) -> None:
        if self.num_states < 2:
            raise ValueError(f"num_states must be >= 2, got {self.num_states}")
        if not 1 <= self.branching <= self.num_states:
            raise ValueError(f"branching must be in [1, {self.num_states}], got {self.branching}")
        if not 0 <= self.termination <= 1:
            raise ValueError(f"termination must be in [0, 1], got {self.termination}")
        if self.reward_noise < 0:
            raise ValueError(f"reward_noise must be >= 0, got {self.reward_noise}")
        if self.episode_length < 1:
            raise ValueError(f"episode_length must be >= 1, got {self.episode_length}")
        Discrete(self.num_actions)  # refuses less than one

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """As `observation` says."""
        return (self.num_states,) if self.observation == "one_hot" else ()

    @property
    def action_space(self) -> Discrete:
        """The actions."""
        return Discrete(self.num_actions)

    def sample(self, key: Key[Array, ""]) -> MDPLevel:
        """Draw successors, probabilities and rewards."""
        key_successors, key_sticks, key_reward = jax.random.split(key, 3)
        table = (self.num_states, self.num_actions)
        _, successors = jax.lax.top_k(jax.random.uniform(key_successors, (*table, self.num_states)), self.branching)
        breaks = jnp.sort(jax.random.uniform(key_sticks, (*table, self.branching - 1)), axis=-1)
        return MDPLevel(
            successors=successors,
            cumulative=jnp.concatenate([breaks, jnp.ones((*table, 1), jnp.float32)], axis=-1),
            reward=jax.random.normal(key_reward, table),
        )

    def reset(self, level: MDPLevel, key: Key[Array, ""]) -> tuple[MDPState, Float[Array, "*observation"]]:
        """Begin anywhere."""
        del level  # unused: all have the same states
        state = MDPState(jax.random.randint(key, (), 0, self.num_states), jnp.zeros((), jnp.int32))
        return state, self._observe(state)

    def step(
        self, level: MDPLevel, state: MDPState, action: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[MDPState, EnvStep]:
        """Draw a successor."""
        key_chances, key_noise = jax.random.split(key)
        chance, end = jax.random.uniform(key_chances, (2,))
        branch = jnp.sum(chance >= level.cumulative[state.number, action])
        reward = level.reward[state.number, action]
        if self.reward_noise > 0:
            reward += self.reward_noise * jax.random.normal(key_noise)
        state = MDPState(level.successors[state.number, action, branch], state.time + 1)
        return state, EnvStep(
            observation=self._observe(state),
            reward=reward,
            terminated=end < self.termination,
            truncated=state.time >= self.episode_length,
        )

    def _observe(self, state: MDPState) -> Float[Array, "*observation"]:
        if self.observation == "index":
            return state.number.astype(jnp.float32)
        return (jnp.arange(self.num_states, dtype=jnp.int32) == state.number).astype(jnp.float32)
