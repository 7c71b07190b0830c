"""ESSingle: evolution strategies over windows with one perturbation per lifetime, in lock-step."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Int

from heurax.inner import InnerLoop
from heurax.outer.estimators.reused_noise import ReusedNoise

__all__ = ["ESSingle"]


@dataclass(frozen=True)
class ESSingle(ReusedNoise):
    """Each lifetime has a single perturbation; all lifetimes begin together and run window by window.

    `g = (L+ - L-) e / (2 sigma^2)` with `L` the loss of a window and `e` the perturbation of the lifetime. Its variance
    does not grow with the number of windows in a lifetime. Over a lifetime it is unbiased for the gradient of the
    smoothed mean loss; a single estimate is that of one window, so that successive estimates walk through the horizon
    together. `NoiseReuseES` is the same with staggered clocks, which average that walk out.

    Source: Vicol 2023, "Low-variance gradient estimation in unrolled computation graphs with ES-Single". Lifetimes
    begin and end at the edges of windows.

    Args:
        num_tasks: tasks in parallel, each trained by an antithetic pair of lifetimes; >= 1.
        window: inner steps per estimate; divides the horizon.
        sigma: standard deviation of the perturbation; > 0.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end (over a
            lifetime: the mean over all windows).
        truncation: how long lifetimes are; tasks stay together under `ConstantLength` only.

    Further options: see `EvolutionaryEstimator`.
    """

    def noise_steps(self, inner: InnerLoop) -> int:
        """The horizon: lifetimes renew their noise when they begin."""
        return inner.num_steps

    def stagger(self, index: Int[Array, ""]) -> Int[Array, ""]:
        """All tasks begin at 0."""
        return jnp.zeros_like(index)
