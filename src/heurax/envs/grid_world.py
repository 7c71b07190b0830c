"""Grid worlds: the family of problems on which LPG and its successors were discovered."""

import difflib
import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.envs.base import Environment, EnvStep
from heurax.envs.grid_levels import GRID_LEVELS, GridLevel, GridLevels, sample_level
from heurax.envs.spaces import Discrete

__all__ = ["GridState", "GridWorld"]

LARGEST_EXACT = 2**24
"""Below it, float32 holds every integer."""


class GridState(NamedTuple):
    """Where the agent and the objects are, which objects are there, and the steps since the episode began."""

    cell: Int[Array, ""]
    cells: Int[Array, " objects"]
    present: Bool[Array, " objects"]
    time: Int[Array, ""]


@dataclass(frozen=True)
class GridWorld(Environment):
    """Walk on a grid; objects pay or cost when collected, may end the episode, and come back.

    - Level: `GridLevel`: size, walls, the start, the objects' places and numbers, the time limit.
    - Reset: the agent at the start; every object of the level present, where the level says or (positions "episode") in
      random different free cells.
    - Action: 0 up, 1 down, 2 left, 3 right, 4 stay, and with `diagonal` 5 to 8 up left, up right, down left, down
      right. Walls and the border stop the agent.
    - Step: the agent moves; an object that is in its cell is collected and vanishes. Then every object that was absent
      before the step returns with its probability, in its own cell or (positions "episode") in a random free and empty
      one.
    - Observation, float32: "one_hot" [states], 1 at the number of the state, `cell + cells * sum_i 2^i present_i`;
      "index" [], that number; "image" [rows, columns, 2 + kinds], with channels agent, walls and one per kind.
    - Reward: the sum of the collected objects' rewards.
    - Termination: with the probability of the collected object. Truncation: after the level's time limit.

    Source: Oh et al. 2020, arXiv:2007.08794. As in GROOVE (Jackson et al. 2023, arXiv:2310.02782), objects are
    collected by walking into them, without an action for it. Unlike there, the time limit truncates, so that time is no
    part of the observation.

    Args:
        levels: the distribution over levels, or its name in `GRID_LEVELS`: dense, sparse, long, longer, long_dense,
            random_dense, random_long, random_small, random_small_sparse, random_very_dense, small, medium, large, all.
        observation: what the agent sees. The first two say all only where the objects' places are fixed.
        diagonal: whether there are 9 actions instead of 5.
    """

    levels: GridLevels | str = "dense"
    observation: Literal["one_hot", "index", "image"] = "one_hot"
    diagonal: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.levels, str) and self.levels not in GRID_LEVELS:
            near = difflib.get_close_matches(self.levels, GRID_LEVELS, n=3, cutoff=0.4) or list(GRID_LEVELS)
            raise ValueError(
                f"levels must be GridLevels or the name of one, got {self.levels!r}; near are {', '.join(near)}"
            )
        if self.observation == "image":
            return
        if self.distribution.positions == "episode":
            raise ValueError(f"observation must be 'image' where objects change places, got {self.observation!r}")
        if self.num_states > LARGEST_EXACT:
            raise ValueError(f"observation must be 'image' for so many states, got {self.num_states}")

    @functools.cached_property
    def distribution(self) -> GridLevels:
        """The distribution over levels."""
        return GRID_LEVELS[self.levels] if isinstance(self.levels, str) else self.levels

    @property
    def num_states(self) -> int:
        """How many numbers of states there are in "one_hot" and "index"."""
        rows, columns = self.distribution.shape
        return rows * columns * 2**self.distribution.total_objects

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """As `observation` says."""
        if self.observation == "image":
            return (*self.distribution.shape, 2 + len(self.distribution.objects))
        return (self.num_states,) if self.observation == "one_hot" else ()

    @property
    def action_space(self) -> Discrete:
        """Five moves or nine."""
        return Discrete(9 if self.diagonal else 5)

    def sample(self, key: Key[Array, ""]) -> GridLevel:
        """Draw a level."""
        return sample_level(self.distribution, self.action_space.num_actions, key)

    def reset(self, level: GridLevel, key: Key[Array, ""]) -> tuple[GridState, Float[Array, "*observation"]]:
        """Put everything in its place."""
        cells = level.cells
        if self.distribution.positions == "episode":
            cells = _draw_cells(level, level.start[None], jnp.ones((1,), jnp.bool), key, cells.shape[0])
        state = GridState(level.start, cells, level.used, jnp.zeros((), jnp.int32))
        return state, self._observe(level, state)

    def step(
        self, level: GridLevel, state: GridState, action: Int[Array, ""], key: Key[Array, ""]
    ) -> tuple[GridState, EnvStep]:
        """Move, collect, and let objects come back."""
        key_chance, key_cells = jax.random.split(key)
        cell = level.next_cell[state.cell, action]
        collected = state.present & (state.cells == cell)
        chances = jax.random.uniform(key_chance, (state.present.shape[0] + 1,))
        returned = ~state.present & level.used & (chances[:-1] < level.respawn)
        cells = state.cells
        if self.distribution.positions == "episode":
            occupied = jnp.append(state.cells, cell)
            there = jnp.append(state.present & ~collected, True)
            cells = jnp.where(returned, _draw_cells(level, occupied, there, key_cells, cells.shape[0]), cells)
        time = state.time + 1
        state = GridState(cell, cells, (state.present & ~collected) | returned, time)
        return state, EnvStep(
            observation=self._observe(level, state),
            reward=jnp.sum(jnp.where(collected, level.reward, 0.0)),
            terminated=chances[-1] < jnp.sum(jnp.where(collected, level.termination, 0.0)),
            truncated=time >= level.episode_length,
        )

    def _observe(self, level: GridLevel, state: GridState) -> Float[Array, "*observation"]:
        cells = jnp.arange(level.free.shape[0], dtype=jnp.int32)
        if self.observation == "image":
            # one number per cell whose bits are the channels: two small fused loops instead of a scatter per object
            kinds = [2 + i for i, thing in enumerate(self.distribution.objects) for _ in range(thing.count)]
            things = (state.cells[:, None] == cells[None]) & state.present[:, None]
            bits = jnp.sum(jnp.where(things, 2 ** jnp.asarray(kinds, jnp.int32)[:, None], 0), axis=0)
            bits += (state.cell == cells).astype(jnp.int32) + 2 * (~level.free).astype(jnp.int32)
            channels = jnp.arange(self.observation_shape[-1], dtype=jnp.int32)
            return ((bits[:, None] >> channels[None]) & 1).astype(jnp.float32).reshape(self.observation_shape)
        powers = 2 ** jnp.arange(state.present.shape[0], dtype=jnp.int32)
        number = state.cell + cells.shape[0] * jnp.sum(jnp.where(state.present, powers, 0))
        if self.observation == "index":
            return number.astype(jnp.float32)
        return (jnp.arange(self.num_states, dtype=jnp.int32) == number).astype(jnp.float32)


def _draw_cells(
    level: GridLevel, occupied: Int[Array, " m"], there: Bool[Array, " m"], key: Key[Array, ""], number: int
) -> Int[Array, " number"]:
    """Draw different free cells in which nothing is, uniformly.

    With s_0 < s_1 < ... the ranks among the free cells that are taken, the k-th of the others has the rank
    `k + #{j: s_j - j <= k}`. The few ranks are kept as a sorted list of scalars, so that a batch of draws is one fused
    loop, where passes over the grid or a sort would each be many.
    """
    num_free = jnp.sum(level.free)
    beyond = level.free.shape[0] + jnp.arange(occupied.shape[0], dtype=jnp.int32)  # matches no k
    ranks = jnp.where(there & level.free[occupied], level.rank[occupied], beyond)
    taken: list[Array] = []
    for rank in ranks:
        taken = _insert(taken, rank)
    num_taken = jnp.sum(ranks < level.free.shape[0])
    chances = jax.random.uniform(key, (number,))
    drawn = []
    for i in range(number):
        k = jnp.floor(chances[i] * (num_free - num_taken - i).astype(jnp.float32)).astype(jnp.int32)
        rank = k
        for j, s in enumerate(taken):
            rank += (s - j <= k).astype(jnp.int32)
        drawn.append(rank)
        taken = _insert(taken, rank)
    return level.free_cells[jnp.stack(drawn)]


def _insert(ordered: list[Array], value: Array) -> list[Array]:
    """An ascending list of scalars with one more."""
    longer = []
    for other in ordered:
        longer.append(jnp.minimum(other, value))
        value = jnp.maximum(other, value)
    return [*longer, value]
