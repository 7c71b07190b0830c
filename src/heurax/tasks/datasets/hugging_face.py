"""Hugging Face data sets, by name or from disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heurax.errors import HeuraxError
from heurax.tasks.base import Split
from heurax.tasks.datasets.files import SPLITS, Examples, FileSource, OpenFiles, Reader, image_shape
from heurax.tasks.datasets.image_folder import read_image

__all__ = ["HuggingFaceData"]


@dataclass(frozen=True)
class HuggingFaceData(FileSource):
    """A data set of the library `datasets` (the extra `datasets`), with its splits `train`, `validation` and `test`.

    Args:
        path: a folder that `save_to_disk` wrote, or else a name on the hub, which is downloaded and kept.
        inputs: the column of inputs: images, or numbers.
        label: the column of labels: integers from 0 on.
        size: side of images, which are resized to squares; None leaves them as they are, all of one size.
        grey: one channel instead of three, for images.

    >>> HuggingFaceData("mnist", size=8, grey=True).label
    'label'
    """

    path: str
    inputs: str = "image"
    label: str = "label"
    size: int | None = None
    grey: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be >= 1, got {self.size}")

    def open(self) -> OpenFiles:
        """Open its tables; rows are read when they are asked for."""
        opened = self._tables()
        tables: dict[Split, Any] = {split: opened[split] for split in SPLITS if split in opened}
        if "train" not in tables:
            raise HeuraxError(f"{self.path} has no split named train")
        for column in (self.inputs, self.label):
            if column not in tables["train"].column_names:
                known = ", ".join(tables["train"].column_names)
                raise HeuraxError(f"{self.path} has no column {column!r}; it has {known}")
        if len(tables["train"]) == 0:
            raise HeuraxError(f"{self.path} has no training examples")
        num_classes = getattr(tables["train"].features[self.label], "num_classes", None)
        if num_classes is None:
            num_classes = 1 + max(int(np.max(table[self.label][:])) for table in tables.values() if len(table))
        shape = self._row(tables["train"], 0)[0].shape
        readers: dict[Split, Examples] = {
            split: self._reader(split, table, num_classes, shape) for split, table in tables.items()
        }
        return OpenFiles(readers, num_classes, image_shape(shape))

    def _library(self) -> Any:
        try:
            import datasets  # an extra
        except ImportError as error:
            raise HeuraxError("Hugging Face data sets need an extra: pip install 'heurax[datasets]'") from error
        return datasets

    def _tables(self) -> Any:
        datasets = self._library()
        try:
            loaded = (
                datasets.load_from_disk(self.path) if Path(self.path).is_dir() else datasets.load_dataset(self.path)
            )
        except Exception as error:  # of the file system, of the network, of the format
            raise HeuraxError(f"the data set {self.path} cannot be opened: {str(error).splitlines()[0]}") from error
        return loaded if isinstance(loaded, dict) else {"train": loaded}

    def _row(self, table: Any, index: int) -> tuple[np.ndarray, int]:
        row = table[index]
        value = row[self.inputs]
        is_image = isinstance(table.features[self.inputs], self._library().Image)
        inputs = read_image(value, self.size, self.grey) if is_image else np.asarray(value, np.float32)
        return inputs, int(row[self.label])

    def _reader(self, split: Split, table: Any, num_classes: int, shape: tuple[int, ...]) -> Reader:
        return Reader(
            read=lambda i: self._row(table, i),
            name=lambda i: f"{self.path}: {split} example {i}",
            length=len(table),
            num_classes=num_classes,
            shape=shape,
        )
