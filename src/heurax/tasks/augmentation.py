"""Augmentation of task families: wrappers that change how a problem looks to the optimizer, not what it is."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.image_mlp import ImageMLP

__all__ = ["Reparameterized", "ReparameterizedTask"]


class ReparameterizedTask(NamedTuple):
    """The task below, and the scale of each parameter (a tree like the parameters, or one scalar)."""

    task: Any
    scale: Any


@dataclass(frozen=True)
class Reparameterized(TaskFamily):
    """Re-parameterise a family: the optimizer sees `params / s`, the loss uses `s * params`.

    A rule that is trained without it overfits to the scale of its tasks' parameters. Source: Metz et al. 2022
    (VeLO), arXiv:2211.09760, section on task augmentation.

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

    def sample(self, key: Key[Array, ""]) -> ReparameterizedTask:
        """Draw a task of the family and its scales."""
        key_task, key_scale = jax.random.split(key)
        task = self.family.sample(key_task)
        shapes = jax.eval_shape(self.family.init, task, key)
        if self.level == "global":
            return ReparameterizedTask(task, self._log_uniform(key_scale, ()))
        leaves, treedef = jax.tree.flatten(shapes)
        keys = jax.random.split(key_scale, len(leaves))
        per_tensor = self.level == "tensor"
        scales = [self._log_uniform(k, () if per_tensor else p.shape) for k, p in zip(keys, leaves, strict=True)]
        return ReparameterizedTask(task, treedef.unflatten(scales))

    def init(self, task: ReparameterizedTask, key: Key[Array, ""]) -> Any:
        """The family's initial parameters, divided by the scales."""
        params = self.family.init(task.task, key)
        return jax.tree.map(jnp.divide, params, self._scales(task, params))

    def batch(self, task: ReparameterizedTask, key: Key[Array, ""], split: Split = "train") -> Any:
        """A batch of the family."""
        return self.family.batch(task.task, key, split)

    def evaluation_batch(self, task: ReparameterizedTask, split: Split) -> Any:
        """The family's evaluation batch."""
        return self.family.evaluation_batch(task.task, split)

    def loss(self, task: ReparameterizedTask, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's loss at the scaled parameters."""
        return self.family.loss(task.task, self._scaled(task, params), batch)

    def divergence(self, task: ReparameterizedTask, target: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's divergence at the scaled parameters."""
        return self.family.divergence(task.task, self._scaled(task, target), self._scaled(task, params), batch)

    def _scaled(self, task: ReparameterizedTask, params: Any) -> Any:
        return jax.tree.map(jnp.multiply, params, self._scales(task, params))

    def _scales(self, task: ReparameterizedTask, params: Any) -> Any:
        return jax.tree.map(lambda _: task.scale, params) if self.level == "global" else task.scale

    def _log_uniform(self, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "*shape"]:
        low, high = math.log(self.low), math.log(self.high)
        return jnp.exp(jax.random.uniform(key, shape, minval=low, maxval=high))
