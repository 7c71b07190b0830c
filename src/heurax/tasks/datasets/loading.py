"""Data sets by name, or from files."""

from collections.abc import Callable

from heurax.tasks.datasets.data import ClassificationData, DataSource
from heurax.tasks.datasets.embedded import breast_cancer, digits, iris, photos, small_photos, wine
from heurax.tasks.datasets.generated import gratings, letters

__all__ = ["DATASETS", "load_dataset"]

DATASETS: dict[str, Callable[[], ClassificationData]] = {
    load.__name__: load for load in (breast_cancer, digits, gratings, iris, letters, photos, small_photos, wine)
}
"""Labelled data sets by name: digits, gratings, letters, small_photos (8x8 grey) and photos (16x16 colour) are images,
breast_cancer, iris and wine are tables."""


def load_dataset(dataset: str | DataSource) -> ClassificationData:
    """A data set by its name in `DATASETS`, or from where it lies.

    >>> load_dataset("digits").image_shape
    (8, 8, 1)
    """
    return dataset.load() if isinstance(dataset, DataSource) else DATASETS[dataset]()
