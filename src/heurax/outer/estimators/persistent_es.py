"""PersistentES: unbiased evolution strategies over windows."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator, PairResult, unroll_pair
from heurax.outer.perturbation import antithetic, sample_noise
from heurax.outer.unroll import Objective, begin_window, initial_clock, validate_window

__all__ = ["PersistentES", "PersistentESState"]


@struct.dataclass
class PersistentESState:
    """One task's pair of lifetimes (leading axis 2), the sum of the noise they have seen, and their clock, `i32[]`."""

    pair: Any
    noise_sum: Any
    clock: Any


@dataclass(frozen=True)
class PersistentES(EvolutionaryEstimator):
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
    """

    num_tasks: int = 8
    window: int = 20
    sigma: float = 0.01
    objective: Objective = "mean"

    def validate(self, inner: InnerLoop) -> None:
        """The window must divide the horizon."""
        validate_window(self.window, inner)

    def inner_steps(self, inner: InnerLoop) -> int:
        """Two windows per task."""
        del inner  # unused: a window is a window
        return 2 * self.num_tasks * self.window

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> PersistentESState:
        """A state that the first window replaces, and a staggered clock."""
        lifetime = inner.init(theta, key)
        return PersistentESState(
            pair=jax.tree.map(lambda x: jnp.stack([x, x]), lifetime),
            noise_sum=jax.tree.map(jnp.zeros_like, theta),
            clock=initial_clock(index, self.num_tasks, inner.num_steps, self.window),
        )

    def run_pair(
        self, inner: InnerLoop, theta: Any, state: PersistentESState, key: Key[Array, ""]
    ) -> tuple[PairResult, PersistentESState]:
        """The next window of both lifetimes."""
        key_noise, key_init, key_unroll = jax.random.split(key, 3)
        begins, clock = begin_window(state.clock, inner.num_steps)
        noise = sample_noise(key_noise, theta, self.sigma)
        thetas = antithetic(theta, noise)
        fresh = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        pair = jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, state.pair)
        noise_sum = jax.tree.map(lambda total, e: jnp.where(begins, e, total + e), state.noise_sum, noise)
        pair, losses, metrics = unroll_pair(inner, thetas, pair, key_unroll, self.window, self.objective)
        return PairResult(losses, noise_sum, metrics), PersistentESState(pair, noise_sum, clock + self.window)
