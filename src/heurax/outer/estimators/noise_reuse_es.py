"""NoiseReuseES: unbiased evolution strategies over windows, with noise that lasts longer than a window."""

from dataclasses import dataclass

from heurax.inner import InnerLoop
from heurax.outer.estimators.reused_noise import ReusedNoise

__all__ = ["NoiseReuseES"]


@dataclass(frozen=True)
class NoiseReuseES(ReusedNoise):
    """Generalised persistent evolution strategies: a pair keeps its noise for `reuse` inner steps.

    Every `reuse` steps of a lifetime draw fresh noise `e_k`; a window's loss difference is credited to the sum of the
    draws since the lifetime began: `g = (L+ - L-) sum_k e_k / (2 sigma^2)`. With `reuse` equal to the window this is
    `PersistentES`. With `reuse` null the noise lasts for the lifetime: NRES, of least variance in the class under the
    paper's assumption. Unbiased for the gradient of the smoothed mean loss while `theta` stands still. The windows
    of different tasks average out because their clocks are staggered.

    Source: Li et al. 2023, arXiv:2304.12180 (GPES, with `reuse` as K, and NRES). Where `theta` moves within a lifetime,
    the noise is kept and `theta` is the current one. Lifetimes begin and end at the edges of windows.

    Args:
        num_tasks: tasks in parallel, each trained by an antithetic pair of lifetimes; >= 1.
        window: inner steps per estimate; divides the horizon.
        reuse: inner steps between draws of noise; a multiple of `window`, at most the horizon, which null stands for.
        sigma: standard deviation of the perturbation; > 0.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end (over a
            lifetime: the mean over all windows).
        truncation: how long lifetimes are.

    Further options: see `EvolutionaryEstimator`.
    """

    reuse: int | None = None

    def noise_steps(self, inner: InnerLoop) -> int:
        """`reuse`, or the horizon."""
        return inner.num_steps if self.reuse is None else self.reuse
