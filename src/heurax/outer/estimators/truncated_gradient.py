"""TruncatedGradient: back-propagation through a window of inner steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate
from heurax.outer.estimators.gradients import WindowGradient, estimate_or_zero
from heurax.outer.unroll import unroll, validate_remat

__all__ = ["TruncatedGradient"]


@dataclass(frozen=True)
class TruncatedGradient(WindowGradient):
    """The exact gradient of a window's loss with respect to `theta`, by reverse-mode differentiation.

    With `window` equal to the horizon it is the exact meta-gradient; shorter windows ignore the influence of `theta`
    on the state that they start from, and are biased towards greedy rules. Memory grows with `window`, or, with
    `remat`, with `window / remat + remat`. A task whose gradient is not finite contributes zero, and
    `metrics["nonfinite"]` is the share of such tasks.

    Source: Wichrowska et al. 2017, arXiv:1703.04813; on the bias: Wu et al. 2018, arXiv:1803.02021.

    Args:
        num_tasks: tasks in parallel; >= 1.
        window: inner steps that are differentiated through; divides the horizon.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end.
        truncation: how long lifetimes are.
        remat: length of the blocks of inner steps that the backward pass computes again; divides the window. Null
            computes nothing again.

    Further options: see `GradientEstimator`.
    """

    remat: int | None = None

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows, and windows of blocks."""
        super().validate(inner)
        validate_remat(self.remat, self.window)

    def run_window(
        self, inner: InnerLoop, theta: Any, begin: Callable[[Any], Any], key: Key[Array, ""]
    ) -> tuple[Estimate, Any]:
        """Unroll and differentiate."""

        def window_loss(theta: Any) -> tuple[Array, Any]:
            lifetime, loss, metrics = unroll(inner, theta, begin(theta), key, self.window, self.objective, self.remat)
            return loss, (lifetime, metrics)

        (loss, (lifetime, metrics)), gradient = jax.value_and_grad(window_loss, has_aux=True)(theta)
        return estimate_or_zero(gradient, loss, metrics), lifetime
