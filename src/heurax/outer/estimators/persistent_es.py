"""PersistentES: unbiased evolution strategies over windows."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import Noise
from heurax.outer.estimators.window_es import WindowES
from heurax.outer.trees import to_vector
from heurax.outer.truncation import Start

__all__ = ["PersistentES"]


@dataclass(frozen=True)
class PersistentES(WindowES):
    """Persistent evolution strategies: windows, yet unbiased, because a pair remembers all the noise that shaped it.

    Both members of a pair live on from window to window. Each window draws fresh noise `e_w`, and its loss difference
    is credited to the sum of the noise since the lifetime began: `xi <- xi + e_w`, `g = (L+ - L-) xi / (2 sigma^2)`.
    Unbiased for the gradient of the smoothed mean loss; the variance grows with the number of windows in a lifetime.

    Source: Vicol et al. 2021, arXiv:2112.13835, algorithm 2. Lifetimes begin and end at the edges of windows.

    Args:
        num_tasks: tasks in parallel, each trained by an antithetic pair of lifetimes; >= 1.
        window: inner steps per estimate; divides the horizon.
        sigma: standard deviation of the perturbation; > 0.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end (over a
            lifetime: the mean over all windows).
        truncation: how long lifetimes are.

    Further options: see `EvolutionaryEstimator`.
    """

    def init_memory(self, theta: Any) -> Float[Array, " n"]:
        """The sum of no noise."""
        return jnp.zeros_like(to_vector(theta))

    def perturb(
        self, inner: InnerLoop, memory: Float[Array, " n"], drawn: Noise, start: Start
    ) -> tuple[Noise, Float[Array, " n"]]:
        """Fresh noise; the credit goes to the sum of all noise since the lifetime began."""
        del inner  # unused: noise is fresh at every window
        total = jnp.where(start.forgets, drawn.credit, memory + drawn.credit)
        return Noise(drawn.perturbation, total), total
