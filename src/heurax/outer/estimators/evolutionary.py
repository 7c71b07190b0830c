"""What evolutionary estimators share: a finite difference along a random direction, averaged over tasks."""

import abc
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate, Estimator, Metrics
from heurax.outer.tasks_axis import mean_over_tasks, task_indices, task_keys
from heurax.outer.unroll import Objective, unroll

__all__ = ["EvolutionaryEstimator", "PairResult", "unroll_pair"]


class PairResult(NamedTuple):
    """What an antithetic pair of lifetimes found.

    Attributes:
        losses: of the lifetimes at `theta + noise` and `theta - noise`.
        direction: the noise that the loss difference is credited to, a tree like theta.
        metrics: of both lifetimes, averaged.
    """

    losses: Float[Array, "2"]
    direction: Any
    metrics: Metrics


class EvolutionaryEstimator(Estimator):
    """Antithetic evolution strategies: `g = mean_i (L_i+ - L_i-) direction_i / (2 sigma^2)`.

    Each task is trained twice, under `theta + noise` and `theta - noise`, with the same problem, initialisation and
    data: what differs is the noise alone. A subclass says which lifetimes a pair runs (`init_pair`, `run_pair`,
    written for one task), and what the difference is credited to.
    """

    num_tasks: int
    sigma: float
    objective: Objective

    def __post_init__(self) -> None:
        if self.num_tasks < 1:
            raise ValueError(f"num_tasks must be >= 1, got {self.num_tasks}")
        if not self.sigma > 0:
            raise ValueError(f"sigma must be > 0, got {self.sigma}")

    @abc.abstractmethod
    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> Any:
        """The state of one task before its first estimate; None if it keeps none."""

    @abc.abstractmethod
    def run_pair(self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""]) -> tuple[PairResult, Any]:
        """Run the pair of lifetimes of one task."""

    def init(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """See `Estimator.init`."""
        keys = task_keys(key, self.num_tasks, axis_name)
        indices = task_indices(self.num_tasks, axis_name)
        return jax.vmap(lambda key, index: self.init_pair(inner, theta, key, index))(keys, indices)

    def estimate(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[Estimate, Any]:
        """See `Estimator.estimate`."""
        keys = task_keys(key, self.num_tasks, axis_name)
        pairs, state = jax.vmap(lambda state, key: self.run_pair(inner, theta, state, key))(state, keys)
        weight = (pairs.losses[:, 0] - pairs.losses[:, 1]) / (2 * self.sigma**2)
        contributions = jax.tree.map(lambda d: weight.reshape(-1, *(1,) * (d.ndim - 1)) * d, pairs.direction)
        gradient, loss, metrics = mean_over_tasks(
            (contributions, jnp.mean(pairs.losses, axis=1), pairs.metrics), axis_name
        )
        return Estimate(gradient, loss, metrics), state


def unroll_pair(
    inner: InnerLoop, thetas: Any, states: Any, key: Key[Array, ""], num_steps: int, objective: Objective
) -> tuple[Any, Float[Array, "2"], Metrics]:
    """Unroll both lifetimes of a pair with common random numbers.

    Returns:
        Their states, their losses, and their mean metrics.
    """
    states, losses, metrics = jax.vmap(lambda theta, state: unroll(inner, theta, state, key, num_steps, objective))(
        thetas, states
    )
    return states, losses, jax.tree.map(lambda m: jnp.mean(m, axis=0), metrics)
