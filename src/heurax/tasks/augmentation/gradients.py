"""Other gradients than the loss's own: normalised, late, or estimated."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.tasks.augmentation.base import Augmentation, AugmentedTask
from heurax.tasks.base import Differentiate, TaskFamily, value_and_grad
from heurax.tasks.classification import check_at_least_one
from heurax.tasks.image_mlp import ImageMLP

__all__ = ["DelayedGradient", "GradientQueue", "NormalizedGradient"]


@dataclass(frozen=True)
class NormalizedGradient(Augmentation):
    """Show gradients of unit length: `g / sqrt(|g|^2 + 1e-16)`, over all parameters together.

    Args:
        family: the family to wrap.

    >>> NormalizedGradient(ImageMLP()).batch_size
    128
    """

    family: TaskFamily = ImageMLP()

    def loss_and_gradient(
        self, task: AugmentedTask, params: Any, batch: Any, memory: Any, differentiate: Differentiate = value_and_grad
    ) -> tuple[Float[Array, ""], Any, Any]:
        """The family's, the gradient divided by its length."""
        loss, gradient, memory = self.family.loss_and_gradient(task.task, params, batch, memory, differentiate)
        squares = jnp.sum(jnp.stack([jnp.sum(g.astype(jnp.float32) ** 2) for g in jax.tree.leaves(gradient)]))
        factor = jax.lax.rsqrt(squares + 1e-16)
        return loss, jax.tree.map(lambda g: g * factor.astype(g.dtype), gradient), memory


class GradientQueue(NamedTuple):
    """Past gradients, the place of the next one, and the memory of the family inside."""

    gradients: Any
    count: Int[Array, ""]
    memory: Any


@dataclass(frozen=True)
class DelayedGradient(Augmentation):
    """Show the gradient of some steps ago, as where many machines train without waiting for each other.

    The delay is drawn once per task, uniformly from 1 to `max_delay` steps. Before there is a gradient so old, the
    oldest there is is shown. Losses are not delayed.

    Args:
        family: the family to wrap.
        max_delay: in steps; >= 1. As many gradients are remembered, and one more.

    >>> DelayedGradient(ImageMLP(), max_delay=4).max_delay
    4
    """

    family: TaskFamily = ImageMLP()
    max_delay: int = 8

    def __post_init__(self) -> None:
        check_at_least_one(self, "max_delay")

    def sample(self, key: Key[Array, ""]) -> AugmentedTask:
        """Draw a task of the family and the delay."""
        key_task, key_delay = jax.random.split(key)
        delay = jax.random.randint(key_delay, (), 1, self.max_delay + 1)
        return AugmentedTask(self.family.sample(key_task), delay)

    def init_memory(self, task: AugmentedTask, params: Any, key: Key[Array, ""]) -> GradientQueue:
        """An empty queue."""
        empty = jax.tree.map(lambda p: jnp.zeros((self.max_delay + 1, *p.shape), p.dtype), params)
        return GradientQueue(empty, jnp.zeros([], jnp.int32), self.family.init_memory(task.task, params, key))

    def loss_and_gradient(
        self,
        task: AugmentedTask,
        params: Any,
        batch: Any,
        memory: GradientQueue,
        differentiate: Differentiate = value_and_grad,
    ) -> tuple[Float[Array, ""], Any, GradientQueue]:
        """The family's loss, and an old gradient."""
        loss, gradient, inner = self.family.loss_and_gradient(task.task, params, batch, memory.memory, differentiate)
        places, count = self.max_delay + 1, memory.count
        queue = jax.tree.map(lambda q, g: q.at[count % places].set(g), memory.gradients, gradient)
        old = (count - jnp.minimum(task.drawn, count)) % places
        return loss, jax.tree.map(lambda q: q[old], queue), GradientQueue(queue, count + 1, inner)
