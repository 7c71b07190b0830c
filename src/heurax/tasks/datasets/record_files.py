"""ArrayRecord files: records of any number, read at random from disk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import serialization

from heurax.errors import HeuraxError
from heurax.tasks.base import Split
from heurax.tasks.datasets.files import SPLITS, Examples, FileSource, OpenFiles, Reader, image_shape

__all__ = ["RecordFiles", "write_records"]


@dataclass(frozen=True)
class RecordFiles(FileSource):
    """Files `train*.array_record`, and likewise `validation*` and `test*`, in a folder, as `write_records` makes them.

    A record is a msgpack map of `inputs`, an array as flax writes it (float32, or uint8 for 0 to 1), and an integer
    `label`. Reading one runs no code.

    Args:
        folder: where the files lie.
        num_classes: labels are in `[0, num_classes)`; >= 1.

    >>> RecordFiles("data/records", num_classes=10).num_classes
    10
    """

    folder: str
    num_classes: int

    def __post_init__(self) -> None:
        if self.num_classes < 1:
            raise ValueError(f"num_classes must be >= 1, got {self.num_classes}")

    def open(self) -> OpenFiles:
        """Read the index of each file."""
        folder = Path(self.folder)
        paths: dict[Split, list[Path]] = {split: sorted(folder.glob(f"{split}*.array_record")) for split in SPLITS}
        if not paths["train"]:
            raise HeuraxError(f"there is no train*.array_record in {folder}")
        records: dict[Split, Any] = {split: _open(files) for split, files in paths.items() if files}
        if len(records["train"]) == 0:
            raise HeuraxError(f"{folder} has no training records")
        shape = _parse(records["train"], 0, f"{folder}: train record 0")[0].shape
        readers: dict[Split, Examples] = {split: self._reader(split, part, shape) for split, part in records.items()}
        return OpenFiles(readers, self.num_classes, image_shape(shape))

    def _reader(self, split: Split, records: Any, shape: tuple[int, ...]) -> Reader:
        def name(index: int) -> str:
            return f"{self.folder}: {split} record {index}"

        return Reader(
            read=lambda i: _parse(records, i, name(i)),
            name=name,
            length=len(records),
            num_classes=self.num_classes,
            shape=shape,
        )


def write_records(path: Path | str, inputs: Iterable[np.ndarray], labels: Iterable[Any]) -> None:
    """Write an ArrayRecord file of labelled examples.

    Args:
        path: of the file; `RecordFiles` looks for names that begin with the split and end in `.array_record`.
        inputs: an array per example, float32 or uint8.
        labels: an integer per example.
    """
    from array_record.python.array_record_module import ArrayRecordWriter  # a library of its own, needed only here

    writer = ArrayRecordWriter(str(path), "group_size:1")
    for x, label in zip(inputs, labels, strict=True):
        writer.write(serialization.msgpack_serialize({"inputs": np.asarray(x), "label": int(label)}))
    writer.close()


def _open(paths: Sequence[Path]) -> Any:
    from grain.sources import ArrayRecordDataSource  # slow to import, and needed only here

    try:
        return ArrayRecordDataSource([str(path) for path in paths])
    except Exception as error:  # whatever its C++ side raises
        names = ", ".join(path.name for path in paths)
        raise HeuraxError(f"{paths[0].parent}: {names} cannot be read: {error}") from error


def _parse(records: Any, index: int, name: str) -> tuple[np.ndarray, int]:
    try:
        record = serialization.msgpack_restore(records[index])
        return np.asarray(record["inputs"]), int(record["label"])
    except Exception as error:  # of ArrayRecord, of msgpack, or of a record of another form
        raise HeuraxError(f"{name} is damaged, or was not made by write_records ({type(error).__name__})") from error
