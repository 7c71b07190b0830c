"""How points are chosen: all of a grid, those of a list, or drawn at random.

`optuna_search` has the search that learns. A `Search` is a description; `open` gives the `Explorer` that a running
sweep asks for points.
"""

import abc
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from heurax.sweeps.metric import Metric
from heurax.sweeps.space import Distribution

__all__ = ["Explorer", "Grid", "Listed", "ListedTrial", "Point", "Random", "Search", "examples_of_space"]


@dataclass(frozen=True)
class Point:
    """One choice of values.

    Attributes:
        index: its number in the sweep, from 0.
        values: by the dotted names of fields.
        name: what its trials are called; empty for its number.
    """

    index: int
    values: dict[str, Any]
    name: str = ""


class Explorer(abc.ABC):
    """Hands out points, and may learn from what came of them."""

    @abc.abstractmethod
    def ask(self) -> Point | None:
        """The next point; None if there are no more. Points of a sweep that goes on come again, with their index."""

    def tell(self, point: Point, value: float | None) -> None:
        """Take note of a point's metric, mean over its seeds; None if a trial of it failed."""
        del point, value  # unused: what is listed does not learn

    def should_prune(self, point: Point, step: int, value: float) -> bool:
        """Take note of a point's metric at an outer step; whether to end its trials."""
        del point, step, value  # unused: as above
        return False

    def prune(self, point: Point) -> None:
        """Take note that a point's trials were ended early."""
        del point  # unused: as above


class Search(abc.ABC):
    """Which points a sweep tries; a frozen dataclass."""

    @property
    @abc.abstractmethod
    def num_points(self) -> int:
        """How many."""

    @property
    @abc.abstractmethod
    def fields(self) -> list[str]:
        """Dotted names of what is searched."""

    @abc.abstractmethod
    def examples(self) -> list[dict[str, Any]]:
        """Values that show, before anything starts, whether the search fits its base config."""

    @abc.abstractmethod
    def open(self, directory: Path, metric: Metric) -> Explorer:
        """Begin, or go on.

        Args:
            directory: of the sweep.
            metric: what is optimised.
        """

    @property
    def prunes(self) -> bool:
        """Whether trials may be ended early."""
        return False


class ListedPoints(Explorer):
    """Points that are known beforehand, one after the other."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._left = iter(points)

    def ask(self) -> Point | None:
        """See `Explorer.ask`."""
        return next(self._left, None)


class ListedSearch(Search):
    """A search whose points are known before it begins."""

    @abc.abstractmethod
    def points(self) -> list[Point]:
        """All of them."""

    @property
    def num_points(self) -> int:
        """See `Search.num_points`."""
        return len(self.points())

    def examples(self) -> list[dict[str, Any]]:
        """All points."""
        return [point.values for point in self.points()]

    def open(self, directory: Path, metric: Metric) -> Explorer:
        """See `Search.open`."""
        del directory, metric  # unused: the points are known
        return ListedPoints(self.points())


@dataclass(frozen=True)
class Grid(ListedSearch):
    """Every combination of listed values; those of the last field vary fastest.

    Args:
        space: values by the dotted name of a field; empty tries the base config alone, with every seed.

    >>> [point.values for point in Grid({"a": [1, 2], "b": [3]}).points()]
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """

    space: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = [name for name, values in self.space.items() if not values]
        if empty:
            raise ValueError(f"space must have a value for every field, got none for {empty[0]}")

    @property
    def fields(self) -> list[str]:
        """See `Search.fields`."""
        return list(self.space)

    @property
    def num_points(self) -> int:
        """See `Search.num_points`."""
        return math.prod(len(values) for values in self.space.values())

    def points(self) -> list[Point]:
        """See `ListedSearch.points`."""
        combinations = itertools.product(*self.space.values())
        return [Point(i, dict(zip(self.space, values, strict=True))) for i, values in enumerate(combinations)]


@dataclass(frozen=True)
class ListedTrial:
    """One point of a list.

    Args:
        values: by the dotted names of fields, applied in this order: an implementation before its fields.
        name: of its directory; empty for its number.
    """

    values: dict[str, Any]
    name: str = ""


@dataclass(frozen=True)
class Listed(ListedSearch):
    """The points of a list, with names of their own or numbers.

    Args:
        trials: at least one.
    """

    trials: list[ListedTrial]

    def __post_init__(self) -> None:
        if not self.trials:
            raise ValueError("trials must not be empty")

    @property
    def fields(self) -> list[str]:
        """See `Search.fields`."""
        return list(dict.fromkeys(name for trial in self.trials for name in trial.values))

    def points(self) -> list[Point]:
        """See `ListedSearch.points`."""
        return [Point(i, trial.values, trial.name) for i, trial in enumerate(self.trials)]


@dataclass(frozen=True)
class Random(ListedSearch):
    """Points drawn at random, every field by itself. A point depends on `seed` and its number alone.

    Args:
        space: distributions by the dotted name of a field.
        num_points: how many; >= 1.
        seed: of the draws.
    """

    space: dict[str, Distribution]
    num_points: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.space:
            raise ValueError("space must not be empty")
        if self.num_points < 1:
            raise ValueError(f"num_points must be >= 1, got {self.num_points}")

    @property
    def fields(self) -> list[str]:
        """See `Search.fields`."""
        return list(self.space)

    def examples(self) -> list[dict[str, Any]]:
        """See `examples_of_space`, and all points."""
        return [*examples_of_space(self.space), *super().examples()]

    def points(self) -> list[Point]:
        """See `ListedSearch.points`."""
        return [Point(i, self._draw(i)) for i in range(self.num_points)]

    def _draw(self, index: int) -> dict[str, Any]:
        generator = np.random.default_rng([self.seed, index])
        return {name: distribution.sample(generator) for name, distribution in self.space.items()}


def examples_of_space(space: dict[str, Distribution]) -> list[dict[str, Any]]:
    """Points that show every example of every field, each at least once."""
    examples = {name: distribution.examples() for name, distribution in space.items()}
    longest = max(len(values) for values in examples.values())
    return [{name: values[i % len(values)] for name, values in examples.items()} for i in range(longest)]
