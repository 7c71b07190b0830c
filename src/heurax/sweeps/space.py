"""What a field may be: ranges and choices that values are drawn from."""

import abc
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["DISTRIBUTIONS", "Choice", "Distribution", "Integer", "LogUniform", "Uniform"]


class Distribution(abc.ABC):
    """Values of one field; a frozen dataclass."""

    @abc.abstractmethod
    def sample(self, generator: np.random.Generator) -> Any:
        """Draw a value."""

    @abc.abstractmethod
    def examples(self) -> list[Any]:
        """Values that fit a config if all of them do: the ends of a range, or every choice."""


@dataclass(frozen=True)
class Uniform(Distribution):
    """A number between two others.

    Args:
        low: smallest value.
        high: largest value; > low.

    >>> Uniform(0.0, 1.0).examples()
    [0.0, 1.0]
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"high must be > low = {self.low}, got {self.high}")

    def sample(self, generator: np.random.Generator) -> float:
        """See `Distribution.sample`."""
        return float(generator.uniform(self.low, self.high))

    def examples(self) -> list[Any]:
        """Both ends."""
        return [self.low, self.high]


@dataclass(frozen=True)
class LogUniform(Distribution):
    """A positive number whose logarithm is uniform.

    Args:
        low: smallest value; > 0.
        high: largest value; > low.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"low and high must be 0 < low < high, got {self.low} and {self.high}")

    def sample(self, generator: np.random.Generator) -> float:
        """See `Distribution.sample`."""
        value = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        return min(max(value, self.low), self.high)  # the exponential rounds

    def examples(self) -> list[Any]:
        """Both ends."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Integer(Distribution):
    """A whole number.

    Args:
        low: smallest value.
        high: largest value, itself included; > low.
        log: whether the logarithm is uniform; low must then be >= 1.
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"high must be > low = {self.low}, got {self.high}")
        if self.log and self.low < 1:
            raise ValueError(f"low must be >= 1 where log is true, got {self.low}")

    def sample(self, generator: np.random.Generator) -> int:
        """See `Distribution.sample`."""
        if not self.log:
            return int(generator.integers(self.low, self.high, endpoint=True))
        value = math.exp(generator.uniform(math.log(self.low - 0.5), math.log(self.high + 0.5)))
        return min(max(round(value), self.low), self.high)

    def examples(self) -> list[Any]:
        """Both ends."""
        return [self.low, self.high]


@dataclass(frozen=True)
class Choice(Distribution):
    """One of several values of any kind: numbers, names of implementations, lists.

    Args:
        values: at least one.
    """

    values: list[Any]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("values must not be empty")

    def sample(self, generator: np.random.Generator) -> Any:
        """See `Distribution.sample`."""
        return self.values[int(generator.integers(len(self.values)))]

    def examples(self) -> list[Any]:
        """All of them."""
        return list(self.values)


DISTRIBUTIONS: dict[str, type[Distribution]] = {cls.__name__: cls for cls in (Uniform, LogUniform, Integer, Choice)}
"""All distributions by name."""
