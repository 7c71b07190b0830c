"""What all augmentations have in common: a family inside, whose functions they pass on."""

from typing import Any, NamedTuple

from jaxtyping import Array, Float, Key

from heurax.tasks.base import Differentiate, Split, TaskFamily, value_and_grad

__all__ = ["Augmentation", "AugmentedTask"]


class AugmentedTask(NamedTuple):
    """The task below, and what the augmentation drew for it."""

    task: Any
    drawn: Any


class Augmentation(TaskFamily):
    """A family around a family: how its problems look to an optimizer changes, what they are does not.

    Everything is passed on to `family`; an augmentation overrides what it changes. Tasks of all augmentations are
    `AugmentedTask`s. Augmentations nest in any order: `Reparameterized(NormalizedGradient(ImageMLP()))`. Source: Metz
    et al. 2022 (VeLO), arXiv:2211.09760, section on task augmentation.
    """

    family: TaskFamily

    @property
    def batch_size(self) -> int | None:
        """The family's."""
        return self.family.batch_size

    @property
    def num_labels(self) -> int | None:
        """The family's."""
        return self.family.num_labels

    @property
    def has_labels(self) -> bool:
        """Whether the family's batches have."""
        return self.family.has_labels

    def sample(self, key: Key[Array, ""]) -> AugmentedTask:
        """Draw a task of the family, and nothing besides."""
        return AugmentedTask(self.family.sample(key), ())

    def init(self, task: AugmentedTask, key: Key[Array, ""]) -> Any:
        """The family's initial parameters."""
        return self.family.init(task.task, key)

    def batch(self, task: AugmentedTask, key: Key[Array, ""], split: Split = "train") -> Any:
        """A batch of the family."""
        return self.family.batch(task.task, key, split)

    def evaluation_batch(self, task: AugmentedTask, split: Split) -> Any:
        """The family's evaluation batch."""
        return self.family.evaluation_batch(task.task, split)

    def loss(self, task: AugmentedTask, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's loss."""
        return self.family.loss(task.task, params, batch)

    def divergence(self, task: AugmentedTask, target: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """The family's divergence."""
        return self.family.divergence(task.task, target, params, batch)

    def init_memory(self, task: AugmentedTask, params: Any, key: Key[Array, ""]) -> Any:
        """The family's memory."""
        return self.family.init_memory(task.task, params, key)

    def loss_and_gradient(
        self, task: AugmentedTask, params: Any, batch: Any, memory: Any, differentiate: Differentiate = value_and_grad
    ) -> tuple[Float[Array, ""], Any, Any]:
        """The family's loss and gradient."""
        return self.family.loss_and_gradient(task.task, params, batch, memory, differentiate)
