"""TruncatedGradient: back-propagation through a window of inner steps."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate, Estimator
from heurax.outer.tasks_axis import mean_over_tasks, task_indices, task_keys
from heurax.outer.unroll import Objective, begin_window, initial_clock, unroll, validate_window

__all__ = ["TruncatedGradient", "TruncatedGradientState"]


@struct.dataclass
class TruncatedGradientState:
    """One task's lifetime, and its clock, `i32[]`."""

    lifetime: Any
    clock: Any


@dataclass(frozen=True)
class TruncatedGradient(Estimator):
    """The exact gradient of a window's loss with respect to `theta`, by reverse-mode differentiation.

    With `window` equal to the horizon it is the exact meta-gradient; shorter windows ignore the influence of `theta`
    on the state that they start from, and are biased towards greedy rules. Memory grows with `window`. A task whose
    gradient is not finite contributes zero, and `metrics["nonfinite"]` is the share of such tasks.

    Source: Wichrowska et al. 2017, arXiv:1703.04813; on the bias: Wu et al. 2018, arXiv:1803.02021.

    Args:
        num_tasks: tasks in parallel; >= 1.
        window: inner steps that are differentiated through; divides the horizon.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end.
    """

    num_tasks: int = 8
    window: int = 20
    objective: Objective = "mean"

    def __post_init__(self) -> None:
        if self.num_tasks < 1:
            raise ValueError(f"num_tasks must be >= 1, got {self.num_tasks}")

    def validate(self, inner: InnerLoop) -> None:
        """The window must divide the horizon."""
        validate_window(self.window, inner)

    def inner_steps(self, inner: InnerLoop) -> int:
        """One window per task."""
        del inner  # unused: a window is a window
        return self.num_tasks * self.window

    def init(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """States that the first window replaces, and staggered clocks."""

        def init_task(key: Key[Array, ""], index: Int[Array, ""]) -> TruncatedGradientState:
            clock = initial_clock(index, self.num_tasks, inner.num_steps, self.window)
            return TruncatedGradientState(inner.init(theta, key), clock)

        keys = task_keys(key, self.num_tasks, axis_name)
        return jax.vmap(init_task)(keys, task_indices(self.num_tasks, axis_name))

    def estimate(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[Estimate, Any]:
        """See `Estimator.estimate`."""

        def run_task(state: TruncatedGradientState, key: Key[Array, ""]) -> tuple[Estimate, TruncatedGradientState]:
            key_init, key_unroll = jax.random.split(key)
            begins, clock = begin_window(state.clock, inner.num_steps)

            def window_loss(theta: Any) -> tuple[Array, Any]:
                fresh = inner.init(theta, key_init)
                lifetime = jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, state.lifetime)
                lifetime, loss, metrics = unroll(inner, theta, lifetime, key_unroll, self.window, self.objective)
                return loss, (lifetime, metrics)

            (loss, (lifetime, metrics)), gradient = jax.value_and_grad(window_loss, has_aux=True)(theta)
            finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(gradient)]))
            gradient = jax.tree.map(lambda g: jnp.where(finite, g, 0), gradient)
            metrics = metrics | {"nonfinite": (~finite).astype(jnp.float32)}
            return Estimate(gradient, loss, metrics), TruncatedGradientState(lifetime, clock + self.window)

        estimates, state = jax.vmap(run_task)(state, task_keys(key, self.num_tasks, axis_name))
        return mean_over_tasks(estimates, axis_name), state
