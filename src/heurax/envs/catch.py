"""Catch: the smallest visual control problem with a delayed reward."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs.base import Environment, EnvStep
from heurax.envs.spaces import Discrete

__all__ = ["Catch", "CatchState"]


class CatchState(NamedTuple):
    """Where the ball and the paddle are."""

    ball_row: Int[Array, ""]
    ball_column: Int[Array, ""]
    paddle_column: Int[Array, ""]


@dataclass(frozen=True)
class Catch(Environment):
    """A ball falls down one row per step; catch it with the paddle in the bottom row.

    - Level: none, the empty tuple.
    - Reset: the ball in the top row, in a uniformly random column; the paddle in the middle of the bottom row.
    - Action: 0 moves the paddle left, 1 keeps it, 2 moves it right; walls stop it.
    - Observation: float32 [rows, columns], 1 at the ball and at the paddle, else 0.
    - Reward: when the ball arrives in the bottom row, 1 if the paddle is there and -1 if not; else 0.
    - Termination: when the ball arrives in the bottom row, `rows - 1` steps after the reset. Never truncates.

    Source: the Catch of bsuite, Osband et al. 2019, arXiv:1908.03568, equal in every number.

    Args:
        rows: height of the board; >= 2.
        columns: width of the board; >= 1.
    """

    rows: int = 10
    columns: int = 5

    def __post_init__(self) -> None:
        if self.rows < 2:
            raise ValueError(f"rows must be >= 2, got {self.rows}")
        if self.columns < 1:
            raise ValueError(f"columns must be >= 1, got {self.columns}")

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """The board."""
        return (self.rows, self.columns)

    @property
    def action_space(self) -> Discrete:
        """Left, stay, right."""
        return Discrete(3)

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """There is one level."""
        del key  # unused: nothing to draw
        return ()

    def reset(self, level: tuple[()], key: Key[Array, ""]) -> tuple[CatchState, Float[Array, "rows columns"]]:
        """Let a new ball fall."""
        del level  # unused: there is one level
        state = CatchState(
            ball_row=jnp.zeros((), jnp.int32),
            ball_column=jax.random.randint(key, (), 0, self.columns),
            paddle_column=jnp.full((), self.columns // 2, jnp.int32),
        )
        return state, self._observe(state)

    def step(
        self, level: tuple[()], state: CatchState, action: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[CatchState, EnvStep]:
        """Move the paddle, then the ball."""
        del level, key  # unused: there is one level, and it is deterministic
        state = CatchState(
            ball_row=state.ball_row + 1,
            ball_column=state.ball_column,
            paddle_column=jnp.clip(state.paddle_column + action - 1, 0, self.columns - 1),
        )
        landed = state.ball_row >= self.rows - 1
        caught = jnp.where(state.paddle_column == state.ball_column, 1.0, -1.0)
        return state, EnvStep(
            observation=self._observe(state),
            reward=jnp.where(landed, caught, 0.0),
            terminated=landed,
            truncated=jnp.zeros((), jnp.bool),
        )

    def _observe(self, state: CatchState) -> Float[Array, "rows columns"]:
        row, column = jnp.arange(self.rows)[:, None], jnp.arange(self.columns)[None, :]
        ball = (row == state.ball_row) & (column == state.ball_column)
        paddle = (row == self.rows - 1) & (column == state.paddle_column)
        return (ball | paddle).astype(jnp.float32)
