"""Parameters in other units."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.augmentation.base import Augmentation, AugmentedTask
from heurax.tasks.base import Differentiate, TaskFamily, value_and_grad
from heurax.tasks.image_mlp import ImageMLP

__all__ = ["Reparameterized"]


@dataclass(frozen=True)
class Reparameterized(Augmentation):
    """Re-parameterise a family: the optimizer sees `params / s`, the loss uses `s * params`.

    A rule that is trained without it overfits to the scale of its tasks' parameters. Source: Metz et al. 2022
    (VeLO), arXiv:2211.09760, section on task augmentation. Departure: `level`, there drawn per task, is fixed here.

    Args:
        family: the family to wrap.
        level: what shares a scale: the whole problem (`global`), each tensor, or each parameter.
        low: smallest scale; > 0. Scales are log-uniform.
        high: largest scale; >= low.
    """

    family: TaskFamily = ImageMLP()
    level: Literal["global", "tensor", "parameter"] = "global"
    low: float = 0.1
    high: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high:
            raise ValueError(f"low and high must satisfy 0 < low <= high, got {self.low} and {self.high}")

    def sample(self, key: Key[Array, ""]) -> AugmentedTask:
        """Draw a task of the family and its scales: one number, or a tree like the parameters."""
        key_task, key_scale = jax.random.split(key)
        task = self.family.sample(key_task)
        shapes = jax.eval_shape(self.family.init, task, key)
        if self.level == "global":
            return AugmentedTask(task, self._log_uniform(key_scale, ()))
        leaves, treedef = jax.tree.flatten(shapes)
        keys = jax.random.split(key_scale, len(leaves))
        per_tensor = self.level == "tensor"
        scales = [self._log_uniform(k, () if per_tensor else p.shape) for k, p in zip(keys, leaves, strict=True)]
        return AugmentedTask(task, treedef.unflatten(scales))

    def init(self, task: AugmentedTask, key: Key[Array, ""]) -> Any:
        """The family's initial parameters, divided by the scales."""
        params = self.family.init(task.task, key)
        return jax.tree.map(jnp.divide, params, self._scales(task, params))

    def loss(self, task: AugmentedTask, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's loss at the scaled parameters."""
        return self.family.loss(task.task, self._scaled(task, params), batch)

    def divergence(self, task: AugmentedTask, target: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's divergence at the scaled parameters."""
        return self.family.divergence(task.task, self._scaled(task, target), self._scaled(task, params), batch)

    def init_memory(self, task: AugmentedTask, params: Any, key: Key[Array, ""]) -> Any:
        """The family's memory."""
        return self.family.init_memory(task.task, self._scaled(task, params), key)

    def loss_and_gradient(
        self,
        task: AugmentedTask,
        params: Any,
        batch: Any,
        memory: Any,
        differentiate: Differentiate = value_and_grad,
    ) -> tuple[Float[Array, ""], Any, Any]:
        """The family's, at the scaled parameters; by the chain rule, the gradient is multiplied by the scales."""
        scaled = self._scaled(task, params)
        loss, gradient, memory = self.family.loss_and_gradient(task.task, scaled, batch, memory, differentiate)
        return loss, self._scaled(task, gradient), memory

    def _scaled(self, task: AugmentedTask, params: Any) -> Any:
        return jax.tree.map(jnp.multiply, params, self._scales(task, params))

    def _scales(self, task: AugmentedTask, params: Any) -> Any:
        return jax.tree.map(lambda _: task.drawn, params) if self.level == "global" else task.drawn

    def _log_uniform(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
        low, high = math.log(self.low), math.log(self.high)
        return jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))
