"""FullGradient: back-propagation through whole lifetimes."""

from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate
from heurax.outer.estimators.gradients import GradientEstimator, estimate_or_zero
from heurax.outer.unroll import unroll, validate_remat

__all__ = ["FullGradient"]


@dataclass(frozen=True)
class FullGradient(GradientEstimator):
    """The exact gradient of the loss of whole lifetimes, by reverse-mode differentiation.

    Unbiased, of the least variance that a sample of tasks allows, and the yardstick for all other estimators; where
    lifetimes are chaotic it explodes. Memory grows with the horizon, or, with `remat`, with `horizon / remat + remat`;
    `Replay` needs less. It keeps no state.

    Source: Maclaurin et al. 2015, arXiv:1502.03492; rematerialisation, Chen et al. 2016, arXiv:1604.06174.

    Args:
        num_tasks: tasks in parallel; >= 1.
        objective: `mean` of the step losses over the lifetime, or `final`: the inner loop's meta-loss at its end.
        remat: length of the blocks of inner steps that the backward pass computes again; divides the horizon. Null
            computes nothing again.

    Further options: see `GradientEstimator`.
    """

    remat: int | None = None

    def validate(self, inner: InnerLoop) -> None:
        """Blocks must divide the horizon."""
        validate_remat(self.remat, inner.num_steps)

    def inner_steps(self, inner: InnerLoop) -> int:
        """A whole lifetime per task."""
        return self.num_tasks * inner.num_steps

    def init_task(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> None:
        """No state."""

    def run_task(self, inner: InnerLoop, theta: Any, state: None, key: Key[Array, ""]) -> tuple[Estimate, None]:
        """Unroll and differentiate."""
        key_init, key_unroll = jax.random.split(key)

        def lifetime_loss(theta: Any) -> tuple[Array, Any]:
            lifetime = inner.init(theta, key_init)
            _, loss, metrics = unroll(inner, theta, lifetime, key_unroll, inner.num_steps, self.objective, self.remat)
            return loss, metrics

        (loss, metrics), gradient = jax.value_and_grad(lifetime_loss, has_aux=True)(theta)
        return estimate_or_zero(gradient, loss, metrics), state
