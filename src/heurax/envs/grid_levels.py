"""Distributions over grid worlds: sizes, walls, and objects that pay, end the episode and come back."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

__all__ = ["GRID_LEVELS", "GridLevel", "GridLevels", "GridObject", "sample_level"]

MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1), (0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))
"""Row and column of each action: up, down, left, right, stay, then the diagonals."""


class GridLevel(NamedTuple):
    """One grid world. Cells are numbered row by row, as if every level were as wide as the widest.

    Attributes:
        next_cell: where each action leads from each cell.
        free: the cells that are part of the level and no wall.
        start: where the agent begins.
        cells: where the objects are, in every episode or (positions "episode") never.
        used: which objects the level has.
        reward: of collecting each object.
        termination: probability that collecting it ends the episode.
        respawn: probability per step that it comes back.
        episode_length: the time limit in steps.
        free_cells: the free cells in order, then the others.
        rank: the inverse of `free_cells`: of a free cell, how many free ones come before it.
    """

    next_cell: Int[Array, "cells actions"]
    free: Bool[Array, " cells"]
    start: Int[Array, ""]
    cells: Int[Array, " objects"]
    used: Bool[Array, " objects"]
    reward: Float[Array, " objects"]
    termination: Float[Array, " objects"]
    respawn: Float[Array, " objects"]
    episode_length: Int[Array, ""]
    free_cells: Int[Array, " cells"]
    rank: Int[Array, " cells"]


@dataclass(frozen=True)
class GridObject:
    """A kind of object; each level draws its numbers from ranges.

    Args:
        reward: of collecting it, uniform in (low, high).
        termination: probability that collecting it ends the episode; log-uniform in (low, high), where low > 0.
        respawn: probability per step that a collected one comes back; likewise.
        count: how many of the kind; they share their numbers; >= 1.
    """

    reward: tuple[float, float]
    termination: tuple[float, float]
    respawn: tuple[float, float]
    count: int = 1

    def __post_init__(self) -> None:
        if self.reward[0] > self.reward[1]:
            raise ValueError(f"reward must have low <= high, got {self.reward}")
        for field, (low, high) in (("termination", self.termination), ("respawn", self.respawn)):
            if not (0 <= low <= high <= 1 and (low > 0 or low == high)):
                raise ValueError(f"{field} must be one probability twice, or 0 < low <= high <= 1, got {(low, high)}")
        if self.count < 1:
            raise ValueError(f"count must be >= 1, got {self.count}")


def kind(reward: float, termination: float, respawn: float, count: int = 1) -> GridObject:
    """Objects whose numbers are the same in every level."""
    return GridObject((reward, reward), (termination, termination), (respawn, respawn), count)


@dataclass(frozen=True)
class GridLevels:
    """A distribution over grid worlds.

    Args:
        objects: the kinds of objects.
        height: rows, uniform in (low, high); the arrays of every level have the highest.
        width: columns, likewise; None for squares.
        num_walls: cells of the largest grid that are walls, drawn from those where nothing begins; smaller levels have
            fewer.
        walls: instead, a map for all levels: one string per row, "#" for a wall, "." for a free cell.
        num_objects: how many of the objects (in order, copies apart) a level has, uniform in (low, high); None for all.
        episode_length: the time limit, log-uniform in (low, high).
        positions: whether the objects' places are drawn with the level, or for every episode and every return.
    """

    objects: tuple[GridObject, ...]
    height: tuple[int, int] = (11, 11)
    width: tuple[int, int] | None = None
    num_walls: int = 0
    walls: tuple[str, ...] = ()
    num_objects: tuple[int, int] | None = None
    episode_length: tuple[int, int] = (500, 500)
    positions: Literal["level", "episode"] = "level"

    def __post_init__(self) -> None:
        if not self.objects:
            raise ValueError("objects must have at least one kind, got none")
        for field in ("height", "width", "num_objects", "episode_length"):
            bounds = getattr(self, field)
            if bounds is not None and not 1 <= bounds[0] <= bounds[1]:
                raise ValueError(f"{field} must be (low, high) with 1 <= low <= high, got {bounds}")
        if self.num_objects is not None and self.num_objects[1] > self.total_objects:
            raise ValueError(f"num_objects must be at most the {self.total_objects} there are, got {self.num_objects}")
        if self.walls and (len(self.walls) != self.shape[0] or any(len(row) != self.shape[1] for row in self.walls)):
            raise ValueError(f"walls must have {self.shape[0]} rows of {self.shape[1]} cells")
        if self.walls and (self.num_walls or self.height[0] < self.height[1]):
            raise ValueError("walls must come with one size and num_walls 0")
        walls = sum(row.count("#") for row in self.walls)
        smallest = self.height[0] * (self.height if self.width is None else self.width)[0] - walls
        if smallest <= self.total_objects:
            raise ValueError(
                f"a level must have room for {self.total_objects} objects and the agent, got {smallest} cells"
            )
        largest = self.shape[0] * self.shape[1]
        if not 0 <= self.num_walls < largest - self.total_objects:
            raise ValueError(f"num_walls must leave room for what is in {largest} cells, got {self.num_walls}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the largest level."""
        return self.height[1], (self.height if self.width is None else self.width)[1]

    @property
    def total_objects(self) -> int:
        """Objects of the fullest level."""
        return sum(thing.count for thing in self.objects)


def sample_level(levels: GridLevels, num_actions: int, key: Key[Array, ""]) -> GridLevel:
    """Draw a level.

    Args:
        levels: the distribution.
        num_actions: how many of `MOVES` there are.
        key: of the draw.

    Returns:
        The level; the agent and the objects begin in different free cells, which need not be reachable.
    """
    key_size, key_cells, key_objects, key_kinds, key_length = jax.random.split(key, 5)
    rows, columns = levels.shape
    key_height, key_width = jax.random.split(key_size)
    height = jax.random.randint(key_height, (), levels.height[0], levels.height[1] + 1)
    width = height
    if levels.width is not None:
        width = jax.random.randint(key_width, (), levels.width[0], levels.width[1] + 1)
    row, column = (jnp.asarray(x.ravel(), jnp.int32) for x in np.indices(levels.shape))
    inside = (row < height) & (column < width)
    if levels.walls:
        inside &= jnp.asarray([cell == "." for line in levels.walls for cell in line])
    order = jax.random.uniform(key_cells, (2, rows * columns))
    total = levels.total_objects
    _, places = jax.lax.top_k(order[0] + inside.astype(jnp.float32), total + 1)
    _, walls = jax.lax.top_k(order[1].at[places].set(-1.0), levels.num_walls)
    free = inside.at[walls].set(False)

    moves = jnp.asarray(MOVES[:num_actions], jnp.int32)
    to_row, to_column = row[:, None] + moves[:, 0][None], column[:, None] + moves[:, 1][None]
    within = (to_row >= 0) & (to_row < rows) & (to_column >= 0) & (to_column < columns)
    cell = jnp.arange(rows * columns, dtype=jnp.int32)
    target = jnp.where(within, to_row * columns + to_column, cell[:, None])

    num_objects = (total, total) if levels.num_objects is None else levels.num_objects
    number = jax.random.randint(key_objects, (), num_objects[0], num_objects[1] + 1)
    reward, termination, respawn = _draw_kinds(levels.objects, key_kinds)
    free_cells = jnp.argsort(~free, stable=True).astype(jnp.int32)
    return GridLevel(
        next_cell=jnp.where(free[target], target, cell[:, None]),
        free=free,
        start=places[0],
        cells=places[1:],
        used=jnp.arange(total) < number,
        reward=reward,
        termination=termination,
        respawn=respawn,
        episode_length=jnp.round(_between(key_length, levels.episode_length)).astype(jnp.int32),
        free_cells=free_cells,
        rank=jnp.argsort(free_cells).astype(jnp.int32),
    )


def _draw_kinds(kinds: tuple[GridObject, ...], key: Key[Array, ""]) -> tuple[Array, Array, Array]:
    """Reward, termination and respawn of every object, copies with the same."""
    keys = jax.random.split(key, (len(kinds), 3))
    rewards = [jax.random.uniform(k[0], (), jnp.float32, *thing.reward) for thing, k in zip(kinds, keys, strict=True)]
    terminations = [_between(k[1], thing.termination) for thing, k in zip(kinds, keys, strict=True)]
    respawns = [_between(k[2], thing.respawn) for thing, k in zip(kinds, keys, strict=True)]
    counts = [thing.count for thing in kinds]
    reward, termination, respawn = (
        jnp.stack([value for value, count in zip(values, counts, strict=True) for _ in range(count)])
        for values in (rewards, terminations, respawns)
    )
    return reward, termination, respawn


def _between(key: Key[Array, ""], bounds: tuple[float, float] | tuple[int, int]) -> Float[Array, ""]:
    """Log-uniform, or the one value there is."""
    low, high = bounds
    if low == high:
        return jnp.full((), low, jnp.float32)
    return jnp.exp(jax.random.uniform(key, (), jnp.float32, math.log(low), math.log(high)))


def _varied(number: int) -> tuple[GridObject, ...]:
    """Objects whose every number differs between levels; the first is never bad."""
    return tuple(GridObject((0.0 if i == 0 else -1.0, 1.0), (0.01, 1.0), (0.001, 0.1)) for i in range(number))


_DENSE = (kind(1.0, 0.0, 0.05, 2), kind(-1.0, 0.5, 0.1), kind(-1.0, 0.0, 0.5))
_LONG = (kind(1.0, 0.0, 0.01, 2), kind(-1.0, 0.5, 1.0, 2))
_SPLIT = tuple("....#...." if row not in (1, 5) else "........." for row in range(7))
_QUARTERS = tuple(
    "##.#####.##" if row == 4 else ("..........." if row in (0, 7) else ".....#.....") for row in range(11)
)

GRID_LEVELS: dict[str, GridLevels] = {
    "dense": GridLevels(_DENSE),
    "sparse": GridLevels((kind(1.0, 1.0, 0.0), kind(-1.0, 1.0, 0.0)), (13, 13), episode_length=(50, 50)),
    "long": GridLevels(_LONG, episode_length=(1000, 1000)),
    "longer": GridLevels(
        (kind(1.0, 0.1, 0.01, 2), kind(-1.0, 0.8, 1.0, 5)), (7, 7), (9, 9), walls=_SPLIT, episode_length=(2000, 2000)
    ),
    "long_dense": GridLevels((kind(1.0, 0.0, 0.005, 4),), walls=_QUARTERS, episode_length=(2000, 2000)),
    "random_dense": GridLevels(_DENSE, positions="episode"),
    "random_long": GridLevels(_LONG, episode_length=(1000, 1000), positions="episode"),
    "random_small": GridLevels((kind(1.0, 0.0, 0.05, 2), kind(-1.0, 0.5, 0.1, 2)), (5, 5), (7, 7), positions="episode"),
    "random_small_sparse": GridLevels(
        (kind(1.0, 1.0, 1.0), kind(-1.0, 1.0, 1.0, 2)),
        (5, 5),
        (7, 7),
        episode_length=(50, 50),
        positions="episode",
    ),
    "random_very_dense": GridLevels((kind(1.0, 0.0, 1.0),), episode_length=(2000, 2000), positions="episode"),
    "small": GridLevels(_varied(3), (4, 6), num_walls=7, num_objects=(1, 3), episode_length=(20, 100)),
    "medium": GridLevels(_varied(4), (6, 8), num_walls=10, num_objects=(2, 4), episode_length=(100, 250)),
    "large": GridLevels(_varied(5), (8, 10), num_walls=15, num_objects=(2, 5), episode_length=(250, 750)),
    "all": GridLevels(_varied(5), (4, 10), num_walls=15, num_objects=(1, 5), episode_length=(20, 750)),
}
"""Distributions by name.

The first five and the `random_` ones have the objects, sizes and time limits of Oh et al. 2020 (arXiv:2007.08794,
appendix); the walls of `longer` and `long_dense` follow GROOVE (Jackson et al. 2023, arXiv:2310.02782), the others have
none. `small` to `all` vary everything with the ranges of GROOVE.
"""
