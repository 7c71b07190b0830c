"""Snake: the longer it gets, the less room is left."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.envs.base import Environment, EnvStep
from heurax.envs.spaces import Discrete

__all__ = ["Snake", "SnakeState"]


class SnakeState(NamedTuple):
    """The board.

    Attributes:
        body: in how many steps the snake will have left each cell: its length at the head, 1 at the tail, 0 elsewhere.
        head: row and column.
        fruit: row and column.
        length: of the snake.
        time: steps since the episode began.
    """

    body: Int[Array, "rows columns"]
    head: Int[Array, "2"]
    fruit: Int[Array, "2"]
    length: Int[Array, ""]
    time: Int[Array, ""]


@dataclass(frozen=True)
class Snake(Environment):
    """Eat fruit, grow, and hit neither the wall nor yourself.

    - Level: none, the empty tuple.
    - Reset: a snake of length 1 in a random cell, a fruit in another.
    - Action: 0 up, 1 right, 2 down, 3 left, wherever the snake looks.
    - Observation, float32 [rows, columns, 4]: the body (head included), the head, the fruit, and in each cell of the
      body the share of the length that it will last, 1 at the head.
    - Reward: 1 for a fruit, else 0.
    - Termination: the head leaves the board or meets the body (the cell that the tail leaves is free), or the snake
      fills the board. Truncation: after `episode_length` steps.

    A new fruit is in a uniformly random empty cell. Rules as in Jumanji's Snake (Bonnet et al. 2023, arXiv:2306.09884).

    Args:
        rows: >= 1; with `columns`, at least two cells.
        columns: >= 1.
        episode_length: >= 1.
    """

    rows: int = 12
    columns: int = 12
    episode_length: int = 4000

    def __post_init__(self) -> None:
        if self.rows < 1 or self.columns < 1 or self.rows * self.columns < 2:
            raise ValueError(f"rows and columns must make at least two cells, got {self.rows} x {self.columns}")
        if self.episode_length < 1:
            raise ValueError(f"episode_length must be >= 1, got {self.episode_length}")

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The board, in four channels."""
        return (self.rows, self.columns, 4)

    @property
    def action_space(self) -> Discrete:
        """Up, right, down, left."""
        return Discrete(4)

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """There is one level."""
        del key  # unused: nothing to draw
        return ()

    def reset(self, level: tuple[()], key: Key[Array, ""]) -> tuple[SnakeState, Float[Array, "rows columns 4"]]:
        """Put a snake and a fruit in two cells."""
        del level  # unused: there is one level
        cells = self.rows * self.columns
        cell, other = jax.random.randint(key, (2,), 0, jnp.asarray([cells, cells - 1], jnp.int32))
        other += (other >= cell).astype(jnp.int32)
        head, fruit = (jnp.stack([x // self.columns, x % self.columns]) for x in (cell, other))
        state = SnakeState(
            body=self._at(head).astype(jnp.int32),
            head=head,
            fruit=fruit,
            length=jnp.ones((), jnp.int32),
            time=jnp.zeros((), jnp.int32),
        )
        return state, self._observe(state)

    def step(
        self, level: tuple[()], state: SnakeState, action: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[SnakeState, EnvStep]:
        """Move the head, then the tail unless there was fruit."""
        del level  # unused: there is one level
        down = jnp.where(action == 0, -1, jnp.where(action == 2, 1, 0))
        right = jnp.where(action == 3, -1, jnp.where(action == 1, 1, 0))
        head = state.head + jnp.stack([down, right])
        row, column = head
        inside = (row >= 0) & (row < self.rows) & (column >= 0) & (column < self.columns)
        eaten = (row == state.fruit[0]) & (column == state.fruit[1])
        passed = jnp.where(eaten, 0, 1)
        bitten = state.body.at[row, column].get(mode="clip") > passed
        length = state.length + 1 - passed
        body = jnp.where(self._at(head), length, jnp.maximum(state.body - passed, 0))
        fruit = jnp.where(eaten, _random_empty(body == 0, key), state.fruit)
        state = SnakeState(body, head, fruit, length, state.time + 1)
        full = length >= self.rows * self.columns
        return state, EnvStep(
            observation=self._observe(state),
            reward=eaten.astype(jnp.float32),
            terminated=~inside | bitten | full,
            truncated=state.time >= self.episode_length,
        )

    def _at(self, place: Int[Array, "2"]) -> Bool[Array, "rows columns"]:
        """Where a row and a column meet; nowhere if that is off the board."""
        row, column = jnp.arange(self.rows, dtype=jnp.int32), jnp.arange(self.columns, dtype=jnp.int32)
        return (row == place[0])[:, None] & (column == place[1])[None]

    def _observe(self, state: SnakeState) -> Float[Array, "rows columns 4"]:
        share = state.body.astype(jnp.float32) / state.length.astype(jnp.float32)
        head, fruit = self._at(state.head), self._at(state.fruit)
        channel = jnp.arange(4, dtype=jnp.int32)[None, None]
        marks = (state.body > 0).astype(jnp.int32) + 2 * head.astype(jnp.int32) + 4 * fruit.astype(jnp.int32)
        bits = ((marks[:, :, None] >> channel) & 1).astype(jnp.float32)
        return jnp.where(channel == 3, share[:, :, None], bits)


def _random_empty(empty: Bool[Array, "rows columns"], key: Key[Array, ""]) -> Int[Array, "2"]:
    """Draw one of the empty cells uniformly; anything if there is none.

    The k-th one, for a random k: first its row, from the number of empty cells in each, then its column. That takes one
    pass over the board, where a prefix sum over all of it would take many.
    """
    in_row = jnp.sum(empty, axis=1)
    up_to = _prefix_sums(in_row)
    k = jnp.floor(jax.random.uniform(key) * up_to[-1].astype(jnp.float32)).astype(jnp.int32)
    row = jnp.sum(up_to <= k)
    left = k - (up_to - in_row).at[row].get(mode="clip")
    column = jnp.sum(_prefix_sums(empty.at[row].get(mode="clip").astype(jnp.int32)) <= left)
    return jnp.stack([row, column])


def _prefix_sums(values: Int[Array, " n"]) -> Int[Array, " n"]:
    index = jnp.arange(values.shape[0], dtype=jnp.int32)
    return jnp.sum(jnp.where(index[:, None] >= index[None], values[None], 0), axis=1)
