"""Gradients that are estimated along random directions."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.tasks.augmentation.base import Augmentation, AugmentedTask
from heurax.tasks.base import Differentiate, TaskFamily, value_and_grad
from heurax.tasks.classification import check_at_least_one
from heurax.tasks.image_mlp import ImageMLP

__all__ = ["ESGradient", "KeyMemory", "RandomDirectionGradient"]


class KeyMemory(NamedTuple):
    """The key of the directions to come, and the memory of the family inside."""

    key: Key[Array, ""]
    memory: Any


@dataclass(frozen=True)
class RandomDirectionGradient(Augmentation):
    """Show what is seen of a gradient along random directions: `mean_i c(g . d_i) d_i`, d_i standard normal.

    With the values themselves, c(x) = x, its mean is the gradient; with their signs alone it has the gradient's
    direction, and the length sqrt(2 / pi).

    Args:
        family: the family to wrap.
        num_directions: per step; >= 1.
        show: value or sign.

    >>> RandomDirectionGradient(ImageMLP(), num_directions=4).show
    'value'
    """

    family: TaskFamily = ImageMLP()
    num_directions: int = 16
    show: Literal["value", "sign"] = "value"

    def __post_init__(self) -> None:
        check_at_least_one(self, "num_directions")
        if self.show not in ("value", "sign"):
            raise ValueError(f"show must be value or sign, got {self.show!r}")

    def init_memory(self, task: AugmentedTask, params: Any, key: Key[Array, ""]) -> KeyMemory:
        """A key, and the family's memory."""
        key_ours, key_inner = jax.random.split(key)
        return KeyMemory(key_ours, self.family.init_memory(task.task, params, key_inner))

    def loss_and_gradient(
        self,
        task: AugmentedTask,
        params: Any,
        batch: Any,
        memory: KeyMemory,
        differentiate: Differentiate = value_and_grad,
    ) -> tuple[Float[Array, ""], Any, KeyMemory]:
        """The family's loss, and its gradient along random directions."""
        loss, gradient, inner = self.family.loss_and_gradient(task.task, params, batch, memory.memory, differentiate)

        def weight(direction: Any) -> Float[Array, ""]:
            slope = _dot(gradient, direction)
            return jnp.sign(slope) if self.show == "sign" else slope

        key_now, key_next = jax.random.split(memory.key)
        shown = _mean_over_directions(key_now, gradient, self.num_directions, weight)
        return loss, shown, KeyMemory(key_next, inner)


@dataclass(frozen=True)
class ESGradient(Augmentation):
    """Show an estimate by evolution strategies: `mean_i (L(x + s e_i) - L(x - s e_i)) / (2 s) e_i`.

    The e_i are standard normal, anew in every step; s is drawn once per task, log-uniformly. Only losses of `family`
    are asked for: what augmentations inside it make of gradients is lost, so this one belongs innermost of those.

    Args:
        family: the family to wrap.
        num_pairs: of evaluations per step; >= 1.
        low: smallest s; > 0.
        high: largest s; >= low.

    >>> ESGradient(ImageMLP(), num_pairs=4).low
    0.001
    """

    family: TaskFamily = ImageMLP()
    num_pairs: int = 16
    low: float = 0.001
    high: float = 0.1

    def __post_init__(self) -> None:
        check_at_least_one(self, "num_pairs")
        if not 0 < self.low <= self.high:
            raise ValueError(f"low and high must satisfy 0 < low <= high, got {self.low} and {self.high}")

    def sample(self, key: Key[Array, ""]) -> AugmentedTask:
        """Draw a task of the family and the standard deviation."""
        key_task, key_sigma = jax.random.split(key)
        low, high = math.log(self.low), math.log(self.high)
        sigma = jnp.exp(jax.random.uniform(key_sigma, minval=low, maxval=high))
        return AugmentedTask(self.family.sample(key_task), sigma)

    def init_memory(self, task: AugmentedTask, params: Any, key: Key[Array, ""]) -> KeyMemory:
        """A key."""
        del task, params  # unused: no gradient of the family is taken
        return KeyMemory(key, ())

    def loss_and_gradient(
        self,
        task: AugmentedTask,
        params: Any,
        batch: Any,
        memory: KeyMemory,
        differentiate: Differentiate = value_and_grad,
    ) -> tuple[Float[Array, ""], Any, KeyMemory]:
        """The family's loss, and an estimate of its gradient."""
        del differentiate  # unused: nothing is differentiated

        def loss_at(step: Float[Array, ""], direction: Any) -> Float[Array, ""]:
            moved = jax.tree.map(lambda p, d: p + step.astype(p.dtype) * d, params, direction)
            return self.family.loss(task.task, moved, batch)

        def weight(direction: Any) -> Float[Array, ""]:
            return (loss_at(task.drawn, direction) - loss_at(-task.drawn, direction)) / (2 * task.drawn)

        key_now, key_next = jax.random.split(memory.key)
        shown = _mean_over_directions(key_now, params, self.num_pairs, weight)
        return self.family.loss(task.task, params, batch), shown, KeyMemory(key_next, ())


def _dot(a: Any, b: Any) -> Float[Array, ""]:
    products = jax.tree.map(lambda x, y: jnp.sum(x.astype(jnp.float32) * y.astype(jnp.float32)), a, b)
    return jnp.sum(jnp.stack(jax.tree.leaves(products)))


def _mean_over_directions(
    key: Key[Array, ""], like: Any, num_directions: int, weight_fn: Callable[[Any], Float[Array, ""]]
) -> Any:
    """`mean_i weight_fn(d_i) d_i` over standard normal directions of the shapes of `like`, one at a time."""

    def add(total: Any, key: Key[Array, ""]) -> tuple[Any, None]:
        direction = optax.tree.random_like(key, like)
        weight = weight_fn(direction) / num_directions
        return jax.tree.map(lambda t, d: t + weight.astype(d.dtype) * d, total, direction), None

    return jax.lax.scan(add, jax.tree.map(jnp.zeros_like, like), jax.random.split(key, num_directions))[0]
