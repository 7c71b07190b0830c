"""How one lifetime runs: the interface between a learner that uses a rule and everything that improves the rule."""

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
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

    def params(self, state: Any) -> Any:
        """What the learner in a state has learned: a tree of floating-point arrays. By default the whole state."""
        return state

    def with_params(self, state: Any, params: Any) -> Any:
        """The state of a learner that has learned `params`."""
        del state  # unused: by default the parameters are the whole state
        return params

    def matching(self, target: Any, state: Any, key: Key[Array, ""]) -> Float[Array, ""]:
        """How far the learner in a state is from that in the state `target`, which no gradient reaches.

        By default half the squared distance of `params`. An inner loop whose learners have a better measure (the
        Kullback-Leibler divergence of predictions, or of policies) overrides it.
        """
        del key  # unused: nothing is sampled by default
        squares = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), self.params(target), self.params(state))
        return jnp.sum(jnp.stack(jax.tree.leaves(squares))) / 2
