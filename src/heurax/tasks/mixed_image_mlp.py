"""Image classification with multi-layer perceptrons on one of several data sets, another in every task."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from heurax import random
from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.classification import check_dataset, cross_entropy
from heurax.tasks.datasets import ClassificationData, load_dataset
from heurax.tasks.datasets.drawing import MAX_EVALUATION
from heurax.tasks.image_mlp import ImageMLP, ImageMLPTask

__all__ = ["MixedImageMLP", "MixedImageMLPTask"]


class MixedImageMLPTask(NamedTuple):
    """One classifier: index of its data set, and its network."""

    dataset: Int[Array, ""]
    network: ImageMLPTask


@dataclass(frozen=True)
class MixedImageMLP(TaskFamily):
    """`ImageMLP` on a data set that is drawn for every task: one compiled program for all of them.

    The images of all sets have one shape. Networks have as many outputs as the set of most classes; on another set they
    learn that the surplus classes do not occur. Evaluation batches have as many examples as the smallest set's, at most
    2,048.

    Source: the four 8x8 sets that Celo and Celo2 are trained on, arXiv:2602.19142; here those that need no download.

    Args:
        datasets: names in `heurax.tasks.DATASETS`, drawn uniformly.
        width: as `ImageMLP`.
        depth: as `ImageMLP`.
        activations: as `ImageMLP`.
        batch_size: as `ImageMLP`.

    >>> family = MixedImageMLP()
    >>> task = family.sample(jax.random.key(0))
    >>> family.batch(task, jax.random.key(1))[0].shape
    (64, 64)
    """

    datasets: tuple[str, ...] = ("digits", "gratings", "letters", "small_photos")
    width: tuple[int, int] = (32, 32)
    depth: tuple[int, int] = (1, 1)
    activations: tuple[str, ...] = ("relu",)
    batch_size: int = 64

    def __post_init__(self) -> None:
        if not self.datasets:
            raise ValueError("datasets must name at least one data set")
        for name in self.datasets:
            check_dataset(name)
        shapes = {name: load_dataset(name).num_features for name in self.datasets}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"datasets must have inputs of one size, got {shapes}")
        _ = self.family  # raises for fields that make no sense

    @property
    def num_labels(self) -> int:
        """Classes of the data set that has most."""
        return self.family.num_labels

    @property
    def family(self) -> ImageMLP:
        """The networks: those for the data set of most classes."""
        largest = max(self.datasets, key=lambda name: load_dataset(name).num_classes)
        return ImageMLP(largest, self.width, self.depth, self.activations, self.batch_size)

    def sample(self, key: Key[Array, ""]) -> MixedImageMLPTask:
        """Draw a data set (uniform) and a network."""
        key_dataset, key_network = jax.random.split(key)
        dataset = random.integer(key_dataset, 0, len(self.datasets) - 1)
        return MixedImageMLPTask(dataset, self.family.sample(key_network))

    def init(self, task: MixedImageMLPTask, key: Key[Array, ""]) -> Any:
        """That of `ImageMLP`."""
        return self.family.init(task.network, key)

    def batch(self, task: MixedImageMLPTask, key: Key[Array, ""], split: Split = "train") -> tuple[Array, Array]:
        """Inputs `[batch, features]` and labels `[batch]` of the task's data set, drawn with replacement."""
        together = _together(self.datasets, split)
        index = jax.random.randint(key, (self.batch_size,), 0, jnp.asarray(together.size)[task.dataset])
        return self._take(task, together, index)

    def evaluation_batch(self, task: MixedImageMLPTask, split: Split) -> tuple[Array, Array]:
        """The first examples of the split."""
        together = _together(self.datasets, split)
        return self._take(task, together, jnp.arange(min(int(together.size.min()), MAX_EVALUATION)))

    def loss(self, task: MixedImageMLPTask, params: Any, batch: tuple[Array, Array]) -> Float[Array, ""]:
        """Mean cross-entropy."""
        inputs, labels = batch
        logits = self.family.logits(task.network, params, inputs)
        return cross_entropy(logits, labels)

    def divergence(self, task: MixedImageMLPTask, target: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """That of `ImageMLP`."""
        return self.family.divergence(task.network, target, params, batch)

    def _take(self, task: MixedImageMLPTask, together: "_Together", index: Int[Array, " batch"]) -> tuple[Array, Array]:
        rows = jnp.asarray(together.start)[task.dataset] + index
        return jnp.asarray(together.inputs)[rows], jnp.asarray(together.labels)[rows]


class _Together(NamedTuple):
    """One split of several data sets, one after the other: where each starts, and how long it is."""

    inputs: np.ndarray
    labels: np.ndarray
    start: np.ndarray
    size: np.ndarray


@functools.cache
def _together(names: tuple[str, ...], split: Split) -> _Together:
    sets: list[ClassificationData] = [load_dataset(name) for name in names]
    size = np.array([len(data.labels[split]) for data in sets], np.int32)
    return _Together(
        inputs=np.concatenate([data.inputs[split] for data in sets]),
        labels=np.concatenate([data.labels[split] for data in sets]),
        start=(np.cumsum(size) - size).astype(np.int32),
        size=size,
    )
