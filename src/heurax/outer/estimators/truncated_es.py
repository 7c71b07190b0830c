"""TruncatedES: evolution strategies over windows, blind to what came before them."""

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

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> TruncatedESState:
        """A state that the first window replaces, and a staggered clock."""
        clock = initial_clock(index, self.num_tasks, inner.num_steps, self.window)
        return TruncatedESState(inner.init(theta, key), clock)

    def run_pair(
        self, inner: InnerLoop, theta: Any, state: TruncatedESState, key: Key[Array, ""]
    ) -> tuple[PairResult, TruncatedESState]:
        """One window, twice from a common state."""
        key_noise, key_init, key_unroll = jax.random.split(key, 3)
        begins, clock = begin_window(state.clock, inner.num_steps)
        noise = sample_noise(key_noise, theta, self.sigma)
        thetas = antithetic(theta, noise)
        fresh = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        states = jax.tree.map(lambda new, old: jnp.where(begins, new, jnp.stack([old, old])), fresh, state.lifetime)
        states, losses, metrics = unroll_pair(inner, thetas, states, key_unroll, self.window, self.objective)
        lifetime = jax.tree.map(lambda x: x[0], states)
        return PairResult(losses, noise, metrics), TruncatedESState(lifetime, clock + self.window)
