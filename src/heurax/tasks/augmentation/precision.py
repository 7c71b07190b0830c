"""Losses and gradients in half the bits."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.augmentation.base import Augmentation, AugmentedTask
from heurax.tasks.base import Differentiate, TaskFamily, value_and_grad
from heurax.tasks.image_mlp import ImageMLP

__all__ = ["BFloat16"]


@dataclass(frozen=True)
class BFloat16(Augmentation):
    """Compute losses and gradients in bfloat16. Parameters, and what the optimizer sees, stay float32.

    Parameters, batch and task are rounded to bfloat16 before the family sees them, losses and gradients widened after.
    Inside, the sums of norms and the memories of recurrent networks stay float32.

    Args:
        family: the family to wrap.

    >>> BFloat16(ImageMLP()).batch_size
    128
    """

    family: TaskFamily = ImageMLP()

    def loss(self, task: AugmentedTask, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's loss in bfloat16, as float32."""
        task, params, batch = _rounded((task, params, batch))
        return self.family.loss(task.task, params, batch).astype(jnp.float32)

    def divergence(self, task: AugmentedTask, target: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's divergence in bfloat16, as float32."""
        task, target, params, batch = _rounded((task, target, params, batch))
        return self.family.divergence(task.task, target, params, batch).astype(jnp.float32)

    def init_memory(self, task: AugmentedTask, params: Any, key: Key[Array, ""]) -> Any:
        """The family's memory."""
        task, params = _rounded((task, params))
        return self.family.init_memory(task.task, params, key)

    def loss_and_gradient(
        self, task: AugmentedTask, params: Any, batch: Any, memory: Any, differentiate: Differentiate = value_and_grad
    ) -> tuple[Float[Array, ""], Any, Any]:
        """The family's in bfloat16, as float32."""
        task, rounded, batch = _rounded((task, params, batch))
        loss, gradient, memory = self.family.loss_and_gradient(task.task, rounded, batch, memory, differentiate)
        widened = jax.tree.map(lambda g, p: g.astype(p.dtype), gradient, params)
        return loss.astype(jnp.float32), widened, memory


def _rounded(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.bfloat16) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)
