"""TruncatedES: evolution strategies over windows, blind to what came before them."""

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

__all__ = ["TruncatedES", "TruncatedESState"]


@struct.dataclass
class TruncatedESState:
    """One task's lifetime, and its clock, `i32[]`."""

    lifetime: Any
    clock: Any


@dataclass(frozen=True)
class TruncatedES(EvolutionaryEstimator):
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

    window: int = 20
    truncation: Truncation = ConstantLength()

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows."""
        self.truncation.validate(inner, self.window)

    def inner_steps(self, inner: InnerLoop) -> int:
        """Two windows per task."""
        del inner  # unused: a window is a window
        return 2 * self.num_tasks * self.window

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> TruncatedESState:
        """A state that the first window replaces, and a staggered clock."""
        clock = self.truncation.init(index, self.num_tasks, inner.num_steps, self.window)
        return TruncatedESState(inner.init(theta, key), clock)

    def run_pair(
        self,
        inner: InnerLoop,
        theta: Any,
        state: TruncatedESState,
        key: Key[Array, ""],
        fraction: Float[Array, ""] | None,
    ) -> tuple[PairResult, TruncatedESState]:
        """One window, twice from a common state."""
        key_noise, key_init, key_unroll, key_length = jax.random.split(key, 4)
        begins, _, clock = self.truncation.begin(state.clock, key_length, inner.num_steps, self.window)
        noise = self.draw(key_noise, theta, fraction)
        thetas = antithetic(theta, noise.perturbation)
        fresh = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        states = jax.tree.map(lambda new, old: jnp.where(begins, new, jnp.stack([old, old])), fresh, state.lifetime)
        states, losses, metrics = unroll_pair(inner, thetas, states, key_unroll, self.window, self.objective)
        lifetime = jax.tree.map(lambda x: x[0], states)
        return PairResult(losses, noise.credit, metrics), TruncatedESState(
            lifetime, self.truncation.end(clock, self.window)
        )
