"""TruncatedES: evolution strategies over windows, blind to what came before them."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import Noise
from heurax.outer.estimators.window_es import WindowES
from heurax.outer.truncation import Start

__all__ = ["TruncatedES"]


@dataclass(frozen=True)
class TruncatedES(WindowES):
    """Antithetic evolution strategies over windows; both members of a pair start a window from a common state.

    Low variance, but biased: the influence of `theta` on the state at the beginning of a window is ignored, which can
    turn the sign of the gradient. The lifetime goes on from the end state of the `theta + noise` member.

    Source: Metz et al. 2019, arXiv:1810.10180; the naming is that of Vicol et al. 2021, arXiv:2112.13835.

    Args:
        num_tasks: tasks in parallel; >= 1.
        window: inner steps per estimate; divides the horizon.
        sigma: standard deviation of the perturbation; > 0.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end.
        truncation: how long lifetimes are.

    Further options: see `EvolutionaryEstimator`.
    """

    def init_memory(self, theta: Any) -> None:
        """Nothing."""
        del theta  # unused: no noise is remembered

    def perturb(self, inner: InnerLoop, memory: None, drawn: Noise, start: Start) -> tuple[Noise, None]:
        """Fresh noise, which gets all the credit."""
        del inner, start  # unused: noise is fresh at every window
        return drawn, memory

    def keep(self, pair: Any) -> Any:
        """The `theta + noise` member."""
        return jax.tree.map(lambda x: x[0], pair)

    def resume(self, lifetimes: Any) -> Any:
        """Twice the one that went on."""
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (2, *x.shape)), lifetimes)
