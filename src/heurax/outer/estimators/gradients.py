"""What meta-gradient estimators share: one gradient per task, and an average that divergence cannot poison."""

import abc
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate, Estimator, Metrics
from heurax.outer.tasks_axis import map_tasks, mean_over_tasks, task_indices, task_keys
from heurax.outer.trees import from_vector, to_vector
from heurax.outer.truncation import ConstantLength, Truncation
from heurax.outer.unroll import Objective

__all__ = ["AdamPerTaskState", "GradientEstimator", "WindowGradient", "WindowState", "estimate_or_zero"]


@struct.dataclass
class WindowState:
    """One task's lifetime and its clock."""

    lifetime: Any
    clock: Any


@struct.dataclass
class AdamPerTaskState:
    """The state of an estimator with an Adam for every task: its tasks', and that of their Adams."""

    tasks: Any
    adam: Any


@dataclass(frozen=True)
class GradientEstimator(Estimator):
    """The mean over tasks of gradients that are computed task by task.

    A subclass says what one task keeps (`init_task`) and what it estimates (`run_task`), written for one task. A task
    whose gradient is not finite contributes zero, and `metrics["nonfinite"]` is the share of such tasks.

    With `adam_per_task`, the mean is over Adam's directions, of an Adam for each task: tasks whose gradients differ in
    size then count alike, and the outer optimizer can be plain descent. It takes two copies of `theta` per task.
    Source: Oh et al. 2025 (DiscoRL), *Discovering state-of-the-art reinforcement learning algorithms*, methods.

    Args:
        num_tasks: tasks in parallel; >= 1.
        objective: what lifetimes or windows are judged by.
        adam_per_task: whether each task's gradients go through an Adam of its own before they are averaged.
    """

    num_tasks: int = 8
    objective: Objective = "mean"
    adam_per_task: bool = dataclasses.field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.num_tasks < 1:
            raise ValueError(f"num_tasks must be >= 1, got {self.num_tasks}")

    @abc.abstractmethod
    def init_task(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> Any:
        """The state of one task before its first estimate; None if it keeps none."""

    @abc.abstractmethod
    def run_task(self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""]) -> tuple[Estimate, Any]:
        """The estimate of one task, the gradient as a vector: see `estimate_or_zero`."""

    def init(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """See `Estimator.init`."""
        keys = task_keys(key, self.num_tasks, axis_name)
        indices = task_indices(self.num_tasks, axis_name)
        tasks = jax.vmap(lambda key, index: self.init_task(inner, theta, key, index))(keys, indices)
        if not self.adam_per_task:
            return tasks
        return AdamPerTaskState(tasks, jax.vmap(lambda _: optax.scale_by_adam().init(to_vector(theta)))(indices))

    def estimate(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[Estimate, Any]:
        """See `Estimator.estimate`."""
        keys = task_keys(key, self.num_tasks, axis_name)
        tasks = state.tasks if self.adam_per_task else state
        estimates, tasks = map_tasks(lambda state, key: self.run_task(inner, theta, state, key), tasks, keys)
        if self.adam_per_task:
            with jax.numpy_dtype_promotion("standard"):  # optax raises decays to an integer power
                directions, adam = jax.vmap(optax.scale_by_adam().update)(estimates.gradient, state.adam)
            estimates, tasks = estimates._replace(gradient=directions), AdamPerTaskState(tasks, adam)
        mean = mean_over_tasks(estimates, axis_name)
        return mean._replace(gradient=from_vector(mean.gradient, theta)), tasks


@dataclass(frozen=True)
class WindowGradient(GradientEstimator):
    """Gradients of windows of one lifetime per task.

    A subclass says what it differentiates (`run_window`).

    Args:
        window: inner steps per estimate; divides the horizon.
        truncation: how long lifetimes are.
    """

    window: int = 20
    truncation: Truncation = ConstantLength()

    @abc.abstractmethod
    def run_window(
        self, inner: InnerLoop, theta: Any, begin: Callable[[Any], Any], key: Key[Array, ""]
    ) -> tuple[Estimate, Any]:
        """The estimate of a window and the lifetime after it; `begin(theta)` is the lifetime before it."""

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows."""
        self.truncation.validate(inner, self.window)

    def inner_steps(self, inner: InnerLoop) -> int:
        """One window per task."""
        del inner  # unused: a window is a window
        return self.num_tasks * self.window

    def init_task(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> WindowState:
        """A state that the first window replaces, and a staggered clock."""
        clock = self.truncation.init(index, self.num_tasks, inner.num_steps, self.window)
        return WindowState(inner.init(theta, key), clock)

    def run_task(
        self, inner: InnerLoop, theta: Any, state: WindowState, key: Key[Array, ""]
    ) -> tuple[Estimate, WindowState]:
        """The next window."""
        key_init, key_unroll, key_length = jax.random.split(key, 3)
        begins, _, clock = self.truncation.begin(state.clock, key_length, inner.num_steps, self.window)

        def begin(theta: Any) -> Any:
            fresh = inner.init(theta, key_init)
            return jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, state.lifetime)

        estimate, lifetime = self.run_window(inner, theta, begin, key_unroll)
        return estimate, WindowState(lifetime, self.truncation.end(clock, self.window))


def estimate_or_zero(gradient: Any, loss: Float[Array, ""], metrics: Metrics) -> Estimate:
    """The estimate of one task, zero if its gradient is not finite: as a vector, see `to_vector`."""
    vector = to_vector(gradient)
    finite = jnp.all(jnp.isfinite(vector))
    return Estimate(jnp.where(finite, vector, 0), loss, metrics | {"nonfinite": (~finite).astype(jnp.float32)})
