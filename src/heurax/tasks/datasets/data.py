"""What a data set is: NumPy arrays with a fixed split."""

import abc
import math
from typing import NamedTuple

import numpy as np

from heurax.tasks.base import Split

__all__ = ["ClassificationData", "DataSource", "split_examples"]


class ClassificationData(NamedTuple):
    """A labelled data set, split once and for all.

    Attributes:
        inputs: per split, `[examples, features]`: float32, or bytes, which stand for 0 to 1 in steps of 1/255.
        labels: per split, int32 `[examples]`, in `[0, num_classes)`.
        num_classes: number of classes.
        image_shape: (height, width, channels) whose product is the number of features; None where inputs are no
            images.
    """

    inputs: dict[Split, np.ndarray]
    labels: dict[Split, np.ndarray]
    num_classes: int
    image_shape: tuple[int, int, int] | None = None

    @property
    def num_features(self) -> int:
        """Length of one input."""
        return self.inputs["train"].shape[1]


class DataSource(abc.ABC):
    """Where labelled data comes from, if not by a name in `DATASETS`; a frozen dataclass."""

    @abc.abstractmethod
    def load(self) -> ClassificationData:
        """What lies on the device while a program runs.

        Raises:
            HeuraxError: something is missing, or is not what it should be.
        """


def split_examples(
    inputs: np.ndarray,
    labels: np.ndarray,
    num_held_out: int,
    image_shape: tuple[int, int, int] | None = None,
) -> ClassificationData:
    """Split examples by a fixed permutation.

    Args:
        inputs: `[examples, features]`.
        labels: `[examples]`, in `[0, classes)`, every class at least once.
        num_held_out: of validation and test images each; the others are for training.
        image_shape: of `ClassificationData`.
    """
    order = np.random.default_rng(0).permutation(len(labels))
    num_train = len(labels) - 2 * num_held_out
    bounds = [0, num_train, num_train + num_held_out, len(labels)]
    splits: tuple[Split, ...] = ("train", "validation", "test")
    parts: dict[Split, np.ndarray] = {split: order[bounds[i] : bounds[i + 1]] for i, split in enumerate(splits)}
    assert image_shape is None or math.prod(image_shape) == inputs.shape[1]
    return ClassificationData(
        inputs={split: inputs[index] for split, index in parts.items()},
        labels={split: labels[index].astype(np.int32) for split, index in parts.items()},
        num_classes=int(labels.max()) + 1,
        image_shape=image_shape,
    )
