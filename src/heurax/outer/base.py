"""How rules improve: estimators of the meta-gradient, and outer loops that use them.

The inner loop is an argument of every function here, not a field: estimators and outer loops are descriptions that
fit any inner loop.
"""

import abc
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Key

from heurax.inner import InnerLoop

__all__ = ["Estimate", "Estimator", "OuterLoop"]

Metrics = dict[str, Float[Array, ""]]


class Estimate(NamedTuple):
    """An estimate of d E[loss] / d theta.

    Attributes:
        gradient: a tree like theta; finite.
        loss: mean loss of the lifetimes that were run.
        metrics: scalars by name.
    """

    gradient: Any
    loss: Float[Array, ""]
    metrics: Metrics


class Estimator(abc.ABC):
    """Estimates the gradient of the expected loss of lifetimes with respect to `theta`.

    An estimator is a frozen dataclass. It runs `num_tasks` tasks side by side. Its state is a pytree whose leaves all
    have a leading axis of tasks; it may be empty. Under `shard_map` with `axis_name`, the state holds this device's
    share of the tasks, and the estimate is averaged over all devices. Random numbers derive from a task's global
    index, so they do not depend on the number of devices.
    """

    num_tasks: int

    @abc.abstractmethod
    def validate(self, inner: InnerLoop) -> None:
        """Raise ValueError if this estimator cannot be used with an inner loop."""

    @abc.abstractmethod
    def inner_steps(self, inner: InnerLoop) -> int:
        """Number of inner steps that one estimate takes, over all lifetimes."""

    @abc.abstractmethod
    def init(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """Begin: unroll states, staggered over the horizon where lifetimes outlast an estimate."""

    @abc.abstractmethod
    def estimate(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[Estimate, Any]:
        """Run lifetimes for a window, or from beginning to end, and estimate the gradient."""


class OuterLoop(abc.ABC):
    """Improves `theta` from many lifetimes.

    An outer loop is a frozen dataclass. Its state is the whole truth of a run: saved and restored, the run continues
    bit for bit. Every state has the fields `theta` (what the run would hand back now) and `step` (int32, outer steps
    made so far).
    """

    num_steps: int
    """Number of outer steps in a run."""

    @abc.abstractmethod
    def validate(self, inner: InnerLoop) -> None:
        """Raise ValueError if this outer loop cannot be used with an inner loop."""

    @property
    @abc.abstractmethod
    def num_tasks(self) -> int:
        """Size of the axis that is sharded over devices."""

    @abc.abstractmethod
    def inner_steps(self, inner: InnerLoop) -> int:
        """Number of inner steps in one outer step, over all lifetimes."""

    @abc.abstractmethod
    def partition_specs(self, axis_name: str) -> Any:
        """How the state lies on the devices: a prefix of its tree with `PartitionSpec` leaves."""

    @abc.abstractmethod
    def init(self, inner: InnerLoop, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """The state before the first outer step."""

    @abc.abstractmethod
    def step(self, inner: InnerLoop, state: Any, axis_name: str | None = None) -> tuple[Any, Metrics]:
        """One outer step: pure, a fixed point of the state's structure, shapes and dtypes."""

    turn_length: int = 0
    """Outer steps in a row by one of `programs`; 0 where there is but one."""

    def programs(self, inner: InnerLoop) -> tuple[Callable[..., tuple[Any, Metrics]], ...]:
        """The outer step as programs that take turns, from `(state, axis_name)` to what `step` returns.

        Each has static shapes of its own and is compiled by itself. By default `step` is the only one.
        """
        return (functools.partial(self.step, inner),)

    def program_at(self, step: int) -> int:
        """Which of `programs` makes outer step `step`."""
        del step  # unused: by default there is one
        return 0


REPLICATED = PartitionSpec()
"""The same on every device."""
