"""Less, or worse, data in each batch."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from heurax.tasks.augmentation.base import Augmentation, AugmentedTask
from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.image_mlp import ImageMLP

__all__ = ["LabelNoise", "ReducedBatch"]


@dataclass(frozen=True)
class ReducedBatch(Augmentation):
    """Train on a part of each batch: gradients of more noise.

    The part is drawn once per task, uniformly, and rounded to n >= 1 examples. Shapes stay: each of the first n
    examples is repeated as often as the batch size allows, or once more, so that where n does not divide it the mean is
    weighted a little unevenly. Evaluation batches stay whole.

    Args:
        family: the family to wrap; its batches are made of examples (`TaskFamily.batch_size`).
        low: smallest fraction of a batch; > 0.
        high: largest fraction; in [low, 1].

    >>> ReducedBatch(ImageMLP(), low=0.5).batch_size
    128
    """

    family: TaskFamily = ImageMLP()
    low: float = 0.01
    high: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high <= 1:
            raise ValueError(f"low and high must satisfy 0 < low <= high <= 1, got {self.low} and {self.high}")
        if self.family.batch_size is None:
            raise ValueError(f"family must have batches of examples, and those of {type(self.family).__name__} are not")

    def sample(self, key: Key[Array, ""]) -> AugmentedTask:
        """Draw a task of the family and the fraction."""
        key_task, key_fraction = jax.random.split(key)
        fraction = jax.random.uniform(key_fraction, minval=self.low, maxval=self.high)
        return AugmentedTask(self.family.sample(key_task), fraction)

    def batch(self, task: AugmentedTask, key: Key[Array, ""], split: Split = "train") -> Any:
        """A batch of the family, its first examples repeated; the other splits' as they are."""
        batch = self.family.batch(task.task, key, split)
        if split != "train":
            return batch
        size = jax.tree.leaves(batch)[0].shape[0]
        used = jnp.maximum(jnp.round(task.drawn * size), 1).astype(jnp.int32)
        index = jnp.arange(size, dtype=jnp.int32) * used // size
        return jax.tree.map(lambda x: x[index], batch)


@dataclass(frozen=True)
class LabelNoise(Augmentation):
    """Replace some training labels by others: problems whose loss cannot fall to zero.

    The fraction is drawn once per task, uniformly; which labels are replaced, and by what (uniform over all classes,
    the right one too), anew in every batch. Validation and test labels, and evaluation batches, stay right.

    Args:
        family: the family to wrap; its batches have labels (`TaskFamily.num_labels`).
        low: smallest fraction; >= 0.
        high: largest fraction; in [low, 1].

    >>> LabelNoise(ImageMLP(), high=0.2).num_labels
    10
    """

    family: TaskFamily = ImageMLP()
    low: float = 0.0
    high: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= 1:
            raise ValueError(f"low and high must satisfy 0 <= low <= high <= 1, got {self.low} and {self.high}")
        if not self.family.has_labels:
            raise ValueError(f"family must have labels, and {type(self.family).__name__} has none")

    def sample(self, key: Key[Array, ""]) -> AugmentedTask:
        """Draw a task of the family and the fraction."""
        key_task, key_fraction = jax.random.split(key)
        fraction = jax.random.uniform(key_fraction, minval=self.low, maxval=self.high)
        return AugmentedTask(self.family.sample(key_task), fraction)

    def batch(self, task: AugmentedTask, key: Key[Array, ""], split: Split = "train") -> Any:
        """A batch of the family, some of its labels replaced; the other splits' as they are."""
        key_batch, key_which, key_label = jax.random.split(key, 3)
        if split != "train":
            return self.family.batch(task.task, key, split)
        inputs, labels = self.family.batch(task.task, key_batch, split)
        assert self.family.num_labels is not None  # as the constructor found
        wrong = jax.random.uniform(key_which, labels.shape) < task.drawn
        others = jax.random.randint(key_label, labels.shape, 0, self.family.num_labels, labels.dtype)
        return inputs, jnp.where(wrong, others, labels)
