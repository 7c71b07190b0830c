"""Supervised training as an inner loop: gradient descent on a task with a learned or hand-designed optimizer."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Key

from heurax.inner.base import InnerLoop, StepResult
from heurax.inner.mixed_mode import keep_only_gradients, mixed_mode_value_and_grad
from heurax.rules import AdafacMLP, LearnedOptimizer
from heurax.tasks import ImageMLP, TaskFamily
from heurax.tasks.base import Split, value_and_grad

__all__ = ["SupervisedState", "SupervisedTraining"]


@struct.dataclass
class SupervisedState:
    """A learner in training: the problem it was given, its parameters, its optimizer's state, its task's memory."""

    task: Any
    params: Any
    optimizer_state: Any
    memory: Any = ()


@dataclass(frozen=True)
class SupervisedTraining(InnerLoop):
    """Train on a task sampled from a family, one batch per step.

    A step reports the training loss of its batch *before* the update. Divergence is normal: a loss that is not
    finite, or above `loss_cap`, is reported as `loss_cap`, and `metrics["diverged"]` counts it.

    Args:
        rule: the optimizer; `theta` is its meta-parameters.
        task: the family that each lifetime's problem is drawn from.
        num_steps: the horizon, in updates; >= 1.
        meta_loss_split: the split whose loss `meta_loss` reports.
        loss_cap: the largest loss that is reported; > 0. The default is over four times the loss of a guess among 10
            classes.
        mixed_mode: differentiate the inner gradient forward-over-reverse, and keep of each step nothing but its inputs
            and that gradient, which takes reverse-mode meta-gradients less memory; the numbers are the same. It has no
            effect on evolution, and rules out `ForwardGradient`.
        matching_function: what `Bootstrapped` makes small: half the `squared_distance` of parameters, or the `kl`
            divergence of predictions on the evaluation batch of `meta_loss_split`, of families that have one
            (`TaskFamily.divergence`).
    """

    rule: LearnedOptimizer = AdafacMLP()
    task: TaskFamily = ImageMLP()
    num_steps: int = 200
    meta_loss_split: Literal["train", "validation"] = "validation"
    loss_cap: float = 10.0
    mixed_mode: bool = False
    matching_function: Literal["squared_distance", "kl"] = "squared_distance"

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")
        if not self.loss_cap > 0:
            raise ValueError(f"loss_cap must be > 0, got {self.loss_cap}")

    def init(self, theta: Any, key: Key[Array, ""]) -> SupervisedState:
        """Sample a task, its initial parameters and the optimizer's state."""
        key_task, key_params, key_memory = jax.random.split(key, 3)
        task = self.task.sample(key_task)
        params = self.task.init(task, key_params)
        memory = self.task.init_memory(task, params, key_memory)
        return SupervisedState(task, params, self._optimizer(theta).init(params), memory)

    def step(self, theta: Any, state: SupervisedState, key: Key[Array, ""]) -> tuple[SupervisedState, StepResult]:
        """One update on a fresh batch. The optimizer is given the loss as `value=`."""
        step = keep_only_gradients(self._step) if self.mixed_mode else self._step
        return step(theta, state, key)

    def _step(self, theta: Any, state: SupervisedState, key: Key[Array, ""]) -> tuple[SupervisedState, StepResult]:
        batch = self.task.batch(state.task, key)
        differentiate = mixed_mode_value_and_grad if self.mixed_mode else value_and_grad
        loss, gradient, memory = self.task.loss_and_gradient(
            state.task, state.params, batch, state.memory, differentiate
        )
        updates, optimizer_state = self._optimizer(theta).update(
            gradient, state.optimizer_state, state.params, value=loss
        )
        params = optax.apply_updates(state.params, updates)
        capped, diverged = self._cap(loss)
        state = SupervisedState(state.task, params, optimizer_state, memory)
        return state, StepResult(capped, {"diverged": diverged.astype(jnp.float32)})

    def meta_loss(self, theta: Any, state: SupervisedState, key: Key[Array, ""]) -> Float[Array, ""]:
        """The loss on `meta_loss_split`, over the task's evaluation batch."""
        del theta, key  # unused: the state is judged as it stands, on fixed data
        return self._cap(self.evaluate(state, self.meta_loss_split))[0]

    def evaluate(self, state: SupervisedState, split: Split) -> Float[Array, ""]:
        """The loss of a state on a split of the data, not capped."""
        return self.task.loss(state.task, state.params, self.task.evaluation_batch(state.task, split))

    def params(self, state: SupervisedState) -> Any:
        """The parameters of the model."""
        return state.params

    def with_params(self, state: SupervisedState, params: Any) -> SupervisedState:
        """The same training with other parameters."""
        return dataclasses.replace(state, params=params)

    def matching(self, target: SupervisedState, state: SupervisedState, key: Key[Array, ""]) -> Float[Array, ""]:
        """See `matching_function`."""
        if self.matching_function == "squared_distance":
            return super().matching(target, state, key)
        batch = self.task.evaluation_batch(state.task, self.meta_loss_split)
        return self.task.divergence(state.task, target.params, state.params, batch)

    def _optimizer(self, theta: Any) -> optax.GradientTransformationExtraArgs:
        return self.rule.optimizer(theta, self.num_steps)

    def _cap(self, loss: Float[Array, ""]) -> tuple[Float[Array, ""], Array]:
        healthy = loss < self.loss_cap  # False for NaN
        return jnp.where(healthy, loss, self.loss_cap), ~healthy
