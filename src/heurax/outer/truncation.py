"""Truncation schedules: how long lifetimes are that are run window by window, and how their clocks are staggered.

A clock is a pytree of int32 scalars that belongs to one task. Lifetimes begin and end at the edges of windows,
so that no inner step pays for resets; lifetimes of different lengths live side by side in a batch.
"""

import abc
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.unroll import begin_window, initial_clock, validate_window

__all__ = ["Clock", "ConstantLength", "CurriculumLength", "LogUniformLength", "NeverEnding", "Start", "Truncation"]


class Start(NamedTuple):
    """The start of a window.

    Attributes:
        begins: whether a new lifetime begins with it.
        time: inner steps made in this lifetime; 0 at its beginning, and where a never-ending one starts again.
        clock: the task's clock, set to this window.
    """

    begins: Bool[Array, ""]
    time: Int[Array, ""]
    clock: Any

    @property
    def forgets(self) -> Bool[Array, ""]:
        """Whether noise, or random directions, from before this window are forgotten."""
        return self.begins | (self.time == 0)


class Clock(NamedTuple):
    """The clock of a lifetime whose length is its own.

    Attributes:
        time: inner steps made in this lifetime.
        length: of this lifetime; it has ended where `time >= length`.
        windows: run so far, over all lifetimes of the task.
    """

    time: Int[Array, ""]
    length: Int[Array, ""]
    windows: Int[Array, ""]


class Truncation(abc.ABC):
    """How long lifetimes are. A truncation schedule is a frozen dataclass; its functions are written for one task."""

    @abc.abstractmethod
    def validate(self, inner: InnerLoop, window: int) -> None:
        """Raise ValueError if lifetimes of this inner loop cannot be cut into such windows."""

    @abc.abstractmethod
    def init(self, index: Int[Array, ""], num_tasks: int, num_steps: int, window: int) -> Any:
        """The clock of a task before its first window: lifetimes are staggered by task index."""

    @abc.abstractmethod
    def begin(self, clock: Any, key: Key[Array, ""], num_steps: int, window: int) -> Start:
        """Begin a window, and a new lifetime where the last one has ended; `key` is for its length."""

    @abc.abstractmethod
    def end(self, clock: Any, window: int) -> Any:
        """The clock after a window."""


@dataclass(frozen=True)
class ConstantLength(Truncation):
    """Every lifetime lasts for the horizon. The first one of a task is cut short, to stagger them."""

    def validate(self, inner: InnerLoop, window: int) -> None:
        """The window must divide the horizon."""
        validate_window(window, inner)

    def init(self, index: Int[Array, ""], num_tasks: int, num_steps: int, window: int) -> Int[Array, ""]:
        """See `initial_clock`: this clock is one number."""
        return initial_clock(index, num_tasks, num_steps, window)

    def begin(self, clock: Int[Array, ""], key: Key[Array, ""], num_steps: int, window: int) -> Start:
        """See `begin_window`."""
        del key, window  # unused: nothing is drawn
        begins, time = begin_window(clock, num_steps)
        return Start(begins, time, time)

    def end(self, clock: Int[Array, ""], window: int) -> Int[Array, ""]:
        """Time passes."""
        return clock + window


@dataclass(frozen=True)
class LogUniformLength(Truncation):
    """Each lifetime draws its length, log-uniform between `shortest` and the horizon, in whole windows.

    Rules then meet the beginning of training more often than its end, and cannot bet on one horizon. The inner loop's
    `num_steps`, which a rule may see, stays what it is: a lifetime is cut, not rescaled.

    Source: VeLO, Metz et al. 2022, arXiv:2211.09760, draws the number of inner steps log-uniformly.

    Args:
        shortest: length in inner steps, rounded up to whole windows; >= 1, at most the horizon.
    """

    shortest: int = 20

    def __post_init__(self) -> None:
        if self.shortest < 1:
            raise ValueError(f"shortest must be >= 1, got {self.shortest}")

    def validate(self, inner: InnerLoop, window: int) -> None:
        """The window must divide the horizon, and the shortest lifetime fit into it."""
        validate_window(window, inner)
        if self.shortest > inner.num_steps:
            raise ValueError(
                f"shortest must be at most the horizon, inner.num_steps = {inner.num_steps}; got {self.shortest}"
            )

    def init(self, index: Int[Array, ""], num_tasks: int, num_steps: int, window: int) -> Clock:
        """A first lifetime that ends after a staggered number of windows of the horizon."""
        return _staggered(index, num_tasks, num_steps, window)

    def begin(self, clock: Clock, key: Key[Array, ""], num_steps: int, window: int) -> Start:
        """A new lifetime draws its length."""
        low, high = -(-self.shortest // window), num_steps // window
        exponent = jax.random.uniform(key, minval=jnp.log(low), maxval=jnp.log(high + 1))
        return _begin(clock, jnp.clip(jnp.exp(exponent).astype(jnp.int32), low, high) * window)

    def end(self, clock: Clock, window: int) -> Clock:
        """Time passes."""
        return _end(clock, window)


@dataclass(frozen=True)
class CurriculumLength(Truncation):
    """Lifetimes grow geometrically from `first` to the horizon over the first `num_windows` windows of a task.

    A lifetime that begins after `w` windows lasts `first (horizon / first)^min(w / num_windows, 1)` inner steps, in
    whole windows: short lifetimes have smooth losses, on which to start.

    Source: the idea of growing unrolls, Metz et al. 2019, arXiv:1810.10180; the geometric form is ours.

    Args:
        first: length of the first lifetimes, rounded up to whole windows; >= 1, at most the horizon.
        num_windows: windows (outer steps) until lifetimes last for the horizon; >= 1.
    """

    first: int = 20
    num_windows: int = 1000

    def __post_init__(self) -> None:
        if self.first < 1:
            raise ValueError(f"first must be >= 1, got {self.first}")
        if self.num_windows < 1:
            raise ValueError(f"num_windows must be >= 1, got {self.num_windows}")

    def validate(self, inner: InnerLoop, window: int) -> None:
        """The window must divide the horizon, and the first lifetimes fit into it."""
        validate_window(window, inner)
        if self.first > inner.num_steps:
            raise ValueError(
                f"first must be at most the horizon, inner.num_steps = {inner.num_steps}; got {self.first}"
            )

    def init(self, index: Int[Array, ""], num_tasks: int, num_steps: int, window: int) -> Clock:
        """Staggered over the first length."""
        del num_steps  # unused: as above
        return _staggered(index, num_tasks, -(-self.first // window) * window, window)

    def begin(self, clock: Clock, key: Key[Array, ""], num_steps: int, window: int) -> Start:
        """A new lifetime is as long as the curriculum has come."""
        del key  # unused: nothing is drawn
        low, high = -(-self.first // window), num_steps // window
        progress = jnp.minimum(clock.windows.astype(jnp.float32) / self.num_windows, 1.0)
        length = jnp.round(low * jnp.float32(high / low) ** progress).astype(jnp.int32)
        return _begin(clock, jnp.clip(length, low, high) * window)

    def end(self, clock: Clock, window: int) -> Clock:
        """Time passes."""
        return _end(clock, window)


@dataclass(frozen=True)
class NeverEnding(Truncation):
    """One lifetime without resets: online self-tuning.

    The lifetime goes on and on, but its time starts again at every horizon, where persistent estimators forget the
    noise before it. That bounds their variance, at the price of a bias: influences across that edge are not credited.
    """

    def validate(self, inner: InnerLoop, window: int) -> None:
        """The window must divide the horizon."""
        validate_window(window, inner)

    def init(self, index: Int[Array, ""], num_tasks: int, num_steps: int, window: int) -> Clock:
        """Staggered in time, though all lifetimes begin together."""
        return _staggered(index, num_tasks, num_steps, window)

    def begin(self, clock: Clock, key: Key[Array, ""], num_steps: int, window: int) -> Start:
        """The very first window begins a lifetime; none does after it."""
        del key, window  # unused: nothing is drawn
        time = jnp.mod(clock.time, num_steps)
        return Start(clock.windows == 0, time, clock._replace(time=time))

    def end(self, clock: Clock, window: int) -> Clock:
        """Time passes."""
        return _end(clock, window)


def _staggered(index: Int[Array, ""], num_tasks: int, length: int, window: int) -> Clock:
    offset = initial_clock(index, num_tasks, length, window) + length
    return Clock(offset, jnp.int32(length), jnp.zeros([], jnp.int32))


def _begin(clock: Clock, length: Int[Array, ""]) -> Start:
    ended = clock.time >= clock.length
    time = jnp.where(ended, 0, clock.time)
    return Start(ended | (clock.windows == 0), time, Clock(time, jnp.where(ended, length, clock.length), clock.windows))


def _end(clock: Clock, window: int) -> Clock:
    return clock._replace(time=clock.time + window, windows=clock.windows + 1)
