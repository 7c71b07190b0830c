"""PersistentES: unbiased evolution strategies over windows."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator, PairResult, unroll_pair
from heurax.outer.perturbation import antithetic
from heurax.outer.truncation import ConstantLength, Truncation

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
        truncation: how long lifetimes are.

    Further options: see `EvolutionaryEstimator`.
    """

    window: int = 20
    truncation: Truncation = ConstantLength()

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows."""
        self.truncation.validate(inner, self.window)

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
            clock=self.truncation.init(index, self.num_tasks, inner.num_steps, self.window),
        )

    def run_pair(
        self,
        inner: InnerLoop,
        theta: Any,
        state: PersistentESState,
        key: Key[Array, ""],
        fraction: Float[Array, ""] | None,
    ) -> tuple[PairResult, PersistentESState]:
        """The next window of both lifetimes."""
        key_noise, key_init, key_unroll, key_length = jax.random.split(key, 4)
        begins, time, clock = self.truncation.begin(state.clock, key_length, inner.num_steps, self.window)
        noise = self.draw(key_noise, theta, fraction)
        thetas = antithetic(theta, noise.perturbation)
        fresh = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        pair = jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, state.pair)
        forgets = begins | (time == 0)
        noise_sum = jax.tree.map(lambda total, e: jnp.where(forgets, e, total + e), state.noise_sum, noise.credit)
        pair, losses, metrics = unroll_pair(inner, thetas, pair, key_unroll, self.window, self.objective)
        return PairResult(losses, noise_sum, metrics), PersistentESState(
            pair, noise_sum, self.truncation.end(clock, self.window)
        )
