"""What all families of classifiers have in common: labelled data, cross-entropy, the divergence of predictions."""

import abc
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.datasets import DATASETS, ClassificationData, DataSource, draw, first, load_dataset

__all__ = ["Classification", "check_at_least_one", "check_dataset", "check_sizes", "cross_entropy"]


class Classification(TaskFamily):
    """A family whose models map inputs to logits; the loss is the mean cross-entropy in nats.

    Subclasses are frozen dataclasses with the fields `dataset` and `batch_size`.
    """

    dataset: str | DataSource
    batch_size: int

    @abc.abstractmethod
    def logits(self, task: Any, params: Any, inputs: Float[Array, "batch features"]) -> Float[Array, "batch classes"]:
        """What the model says of inputs."""

    @property
    def data(self) -> ClassificationData:
        """The data set."""
        return load_dataset(self.dataset)

    @property
    def num_labels(self) -> int:
        """Classes of the data set."""
        return self.data.num_classes

    @property
    def has_labels(self) -> bool:
        """It has."""
        return True

    def batch(self, task: Any, key: Key[Array, ""], split: Split = "train") -> tuple[Array, Array]:
        """Inputs `[batch, features]` and labels `[batch]`, drawn with replacement."""
        del task  # unused: all tasks of the family share the data
        return draw(self.dataset, key, self.batch_size, split)

    def evaluation_batch(self, task: Any, split: Split) -> tuple[Array, Array]:
        """The whole split, or its first 2,048 examples."""
        del task  # unused: as in `batch`
        return first(self.dataset, split)

    def loss(self, task: Any, params: Any, batch: tuple[Array, Array]) -> Float[Array, ""]:
        """Mean cross-entropy."""
        inputs, labels = batch
        return cross_entropy(self.logits(task, params, inputs), labels)

    def divergence(self, task: Any, target: Any, params: Any, batch: tuple[Array, Array]) -> Float[Array, ""]:
        """Mean of `KL(softmax of the target's logits || softmax of the model's)`; labels are not looked at."""
        ours, theirs = (jax.nn.log_softmax(self.logits(task, p, batch[0])) for p in (params, target))
        return jnp.mean(optax.losses.kl_divergence_with_log_targets(ours, theirs))


def cross_entropy(logits: Float[Array, "batch classes"], labels: Int[Array, " batch"]) -> Float[Array, ""]:
    """Mean cross-entropy in nats.

    Labels are compared, not indexed with: the gradient of an index is a scatter, which XLA's CPU backend does one
    element at a time.
    """
    return jnp.mean(optax.softmax_cross_entropy(logits, jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)))


def check_dataset(dataset: str | DataSource) -> None:
    """Raise ValueError for the name of a data set that there is not."""
    if isinstance(dataset, str) and dataset not in DATASETS:
        raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, got {dataset!r}")


def check_at_least_one(family: TaskFamily, *names: str) -> None:
    """Raise ValueError for the first of these fields that is below 1."""
    for name in names:
        if getattr(family, name) < 1:
            raise ValueError(f"{name} must be >= 1, got {getattr(family, name)}")


def check_sizes(name: str, sizes: Sequence[int]) -> None:
    """Raise ValueError for sizes of layers of which there is none, or one below 1."""
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{name} must be one or more numbers >= 1, got {list(sizes)}")
