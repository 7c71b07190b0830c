"""What evolutionary estimators share: a finite difference along a random direction, averaged over tasks."""

import abc
import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate, Estimator, Metrics
from heurax.outer.perturbation import SigmaSchedule, sample_noise
from heurax.outer.shaping import Shaping, shape_losses
from heurax.outer.tasks_axis import map_tasks, mean_over_tasks, task_indices, task_keys
from heurax.outer.trees import from_vector
from heurax.outer.unroll import Objective, unroll

__all__ = ["EvolutionaryEstimator", "Noise", "PairResult", "ScheduledState", "unroll_pair"]


class Noise(NamedTuple):
    """A perturbation of `theta`, and what loss differences under it are credited to, as vectors: see `to_vector`.

    Attributes:
        perturbation: is added to and subtracted from `theta`.
        credit: `sigma^2` times the score of the perturbation: the perturbation itself, divided by the square of the
            fraction of `sigma` at which it was drawn. Scores add up over independent draws, whatever their size.
    """

    perturbation: Float[Array, " n"]
    credit: Float[Array, " n"]


class PairResult(NamedTuple):
    """What an antithetic pair of lifetimes found.

    Attributes:
        losses: of the lifetimes at `theta + noise` and `theta - noise`.
        direction: what the loss difference is credited to, a vector of the size of theta.
        metrics: of both lifetimes, averaged.
    """

    losses: Float[Array, "2"]
    direction: Float[Array, " n"]
    metrics: Metrics


@struct.dataclass
class ScheduledState:
    """The state of an estimator whose `sigma` changes: its pairs, and each one's estimates so far, `i32[tasks]`."""

    pairs: Any
    step: Any


@dataclass(frozen=True)
class EvolutionaryEstimator(Estimator):
    """Antithetic evolution strategies: `g = mean_i (L_i+ - L_i-) direction_i / (2 sigma^2)`.

    Each task is trained twice, under `theta + noise` and `theta - noise`, with the same problem, initialisation and
    data: what differs is the noise alone. A subclass says which lifetimes a pair runs (`init_pair`, `run_pair`,
    written for one task), and what the difference is credited to.

    A pair with a loss that is not finite contributes zero, or, under shaping, counts as the worst;
    `metrics["nonfinite"]` is the share of such pairs. Shaped losses have no unit, so that the length of the estimate
    means nothing; the outer optimizer should normalise it, as Adam does.

    Args:
        num_tasks: tasks in parallel, each trained by an antithetic pair of lifetimes; >= 1.
        sigma: standard deviation of the perturbation; > 0.
        objective: what a window is judged by; see `heurax.outer.unroll.Objective`.
        shaping: what stands in for losses, over all tasks of all devices; see `heurax.outer.shaping.shape_losses`.
        sigma_schedule: how `sigma` changes over the run.
        rank: of the perturbation of matrices; >= 1, or null for full rank; see `sample_noise`.
    """

    num_tasks: int = 8
    sigma: float = 0.01
    objective: Objective = "mean"
    shaping: Shaping = dataclasses.field(default="none", kw_only=True)
    sigma_schedule: SigmaSchedule = dataclasses.field(default=SigmaSchedule(), kw_only=True)
    rank: int | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.num_tasks < 1:
            raise ValueError(f"num_tasks must be >= 1, got {self.num_tasks}")
        if not self.sigma > 0:
            raise ValueError(f"sigma must be > 0, got {self.sigma}")
        if self.rank is not None and self.rank < 1:
            raise ValueError(f"rank must be >= 1 or null, got {self.rank}")

    @abc.abstractmethod
    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> Any:
        """The state of one task before its first estimate; None if it keeps none."""

    @abc.abstractmethod
    def run_pair(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], fraction: Float[Array, ""] | None
    ) -> tuple[PairResult, Any]:
        """Run the pair of lifetimes of one task. `fraction` is for `draw`."""

    def draw(self, key: Key[Array, ""], theta: Any, fraction: Float[Array, ""] | None) -> Noise:
        """A perturbation at `fraction` of `sigma`; None is all of it."""
        noise = sample_noise(key, theta, self.sigma, self.rank)
        if fraction is None:
            return Noise(noise, noise)
        fraction = fraction.astype(noise.dtype)
        return Noise(fraction * noise, noise / fraction)

    def init(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """See `Estimator.init`."""
        keys = task_keys(key, self.num_tasks, axis_name)
        indices = task_indices(self.num_tasks, axis_name)
        pairs = jax.vmap(lambda key, index: self.init_pair(inner, theta, key, index))(keys, indices)
        return pairs if self._constant else ScheduledState(pairs, jnp.zeros(indices.shape, jnp.int32))

    def estimate(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[Estimate, Any]:
        """See `Estimator.estimate`."""
        keys = task_keys(key, self.num_tasks, axis_name)
        if self._constant:
            pairs, state = map_tasks(lambda state, key: self.run_pair(inner, theta, state, key, None), state, keys)
        else:
            fractions = jax.vmap(self.sigma_schedule.fraction)(state.step)
            pairs, inside = map_tasks(
                lambda state, key, fraction: self.run_pair(inner, theta, state, key, fraction),
                state.pairs,
                keys,
                fractions,
            )
            state = ScheduledState(inside, state.step + 1)
        finite = jnp.all(jnp.isfinite(pairs.losses), axis=1)
        shaped = self._shape(pairs.losses, axis_name)
        weight = (shaped[:, 0] - shaped[:, 1]) / (2 * self.sigma**2)
        if self.shaping == "none":
            weight = jnp.where(finite, weight, 0)
        contributions = weight[:, None].astype(pairs.direction.dtype) * pairs.direction
        metrics = pairs.metrics | {"nonfinite": (~finite).astype(jnp.float32)}
        together = contributions, jnp.mean(pairs.losses, axis=1), metrics
        gradient, loss, metrics = mean_over_tasks(together, axis_name)
        return Estimate(from_vector(gradient, theta), loss, metrics), state

    @property
    def _constant(self) -> bool:
        return self.sigma_schedule.kind == "constant"

    def _shape(self, losses: Float[Array, "local 2"], axis_name: str | None) -> Float[Array, "local 2"]:
        """The shaped losses of this device's pairs, among the pairs of all devices."""
        if self.shaping == "none":
            return losses
        if axis_name is None:
            return shape_losses(losses, self.shaping)
        shaped = shape_losses(jax.lax.all_gather(losses, axis_name, tiled=True), self.shaping)
        return shaped[task_indices(self.num_tasks, axis_name)]


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
