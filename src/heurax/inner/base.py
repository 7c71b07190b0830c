"""How one lifetime runs: the interface between a learner that uses a rule and everything that improves the rule."""

import abc
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key

from heurax.rules.base import Rule

__all__ = ["InnerLoop", "StepResult"]


class StepResult(NamedTuple):
    """What one inner step reports.

    Attributes:
        loss: to be minimised; finite, whatever happened to the learner.
        metrics: scalars by name, averaged over steps and lifetimes before they are logged.
    """

    loss: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]


class InnerLoop(abc.ABC):
    """One lifetime of a learner that uses a rule.

    An inner loop is a frozen dataclass with a field `rule`. Its functions are pure and written for one lifetime; the
    caller vmaps and shards them. A state is a pytree of arrays, and a fixed point of `step`: same structure, shapes
    and dtypes in and out.
    """

    rule: Rule
    num_steps: int
    """The horizon: number of steps in a lifetime."""

    @abc.abstractmethod
    def init(self, theta: Any, key: Key[Array, ""]) -> Any:
        """Begin a lifetime: sample a problem, initialise the learner."""

    @abc.abstractmethod
    def step(self, theta: Any, state: Any, key: Key[Array, ""]) -> tuple[Any, StepResult]:
        """One step of the learner."""

    @abc.abstractmethod
    def meta_loss(self, theta: Any, state: Any, key: Key[Array, ""]) -> Float[Array, ""]:
        """Judge a state at the end of a window or of a lifetime; finite, to be minimised."""
