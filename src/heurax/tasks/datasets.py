"""Real data that needs no download, as NumPy arrays with a fixed split."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from heurax.tasks.base import Split

__all__ = ["DATASETS", "ClassificationData", "digits"]


class ClassificationData(NamedTuple):
    """A labelled data set, split once and for all.

    Attributes:
        inputs: per split, float32 `[examples, features]`.
        labels: per split, int32 `[examples]`, in `[0, num_classes)`.
        num_classes: number of classes.
    """

    inputs: dict[Split, np.ndarray]
    labels: dict[Split, np.ndarray]
    num_classes: int

    @property
    def num_features(self) -> int:
        """Length of one input."""
        return self.inputs["train"].shape[1]


@functools.cache
def digits() -> ClassificationData:
    """The 1,797 handwritten digits that scikit-learn ships: 8x8 grey images in [0, 1], flattened to 64 numbers.

    Split by a fixed permutation into 1,297 training, 250 validation and 250 test images.

    Source: E. Alpaydin and C. Kaynak 1998, UCI "Optical Recognition of Handwritten Digits" (its test part).
    """
    from sklearn.datasets import load_digits  # slow to import, and needed only where data is

    bunch: Any = load_digits()
    images, labels = bunch.data, bunch.target
    order = np.random.default_rng(0).permutation(len(images))
    parts: dict[Split, np.ndarray] = {"train": order[:1297], "validation": order[1297:1547], "test": order[1547:]}
    return ClassificationData(
        inputs={split: (images[index] / 16).astype(np.float32) for split, index in parts.items()},
        labels={split: labels[index].astype(np.int32) for split, index in parts.items()},
        num_classes=10,
    )


DATASETS: dict[str, Callable[[], ClassificationData]] = {"digits": digits}
"""Data sets by name."""
