"""Labelled examples that lie in files and are read one at a time, whatever the format."""

import abc
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from heurax.errors import HeuraxError
from heurax.tasks.base import Split
from heurax.tasks.datasets.data import ClassificationData, DataSource

__all__ = ["SPLITS", "Examples", "FileSource", "OpenFiles", "Reader", "image_shape", "open_files"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Example = tuple[np.ndarray, np.int32]
"""Inputs `[features]`, float32 or bytes, and a label."""


@runtime_checkable
class Examples(Protocol):
    """Examples by their place, read when they are asked for; what grain calls a random-access data source."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Example: ...


class OpenFiles(NamedTuple):
    """Files that are open.

    Attributes:
        examples: per split.
        num_classes: labels are in `[0, num_classes)`.
        image_shape: (height, width, channels); None where inputs are no images.
    """

    examples: dict[Split, Examples]
    num_classes: int
    image_shape: tuple[int, int, int] | None


@dataclass(frozen=True)
class Reader:
    """Examples through a function, each held to the shape of the first and to the classes that there are.

    Args:
        read: from an index to inputs of any shape, float32 or bytes, and a label.
        name: from an index to what a message calls the example.
        length: how many there are.
        num_classes: labels are below it.
        shape: of the inputs.
    """

    read: Callable[[int], tuple[np.ndarray, int]]
    name: Callable[[int], str]
    length: int
    num_classes: int
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Example:
        inputs, label = self.read(index)
        if inputs.shape != self.shape:
            raise HeuraxError(f"{self.name(index)} has shape {list(inputs.shape)}, and others {list(self.shape)}")
        if inputs.dtype not in (np.uint8, np.float32):
            raise HeuraxError(f"{self.name(index)} has dtype {inputs.dtype}; wanted are float32 and uint8")
        if not 0 <= label < self.num_classes:
            raise HeuraxError(f"{self.name(index)} has the label {label}, which is not in 0 to {self.num_classes - 1}")
        return inputs.ravel(), np.int32(label)


@dataclass(frozen=True)
class Part:
    """Some of the examples."""

    examples: Examples
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Example:
        return self.examples[int(self.places[index])]


class FileSource(DataSource):
    """Labelled examples in files; a frozen dataclass.

    As a data set it is held on the device as a whole; `Stream` goes around one that is too large for that. Where there
    is no validation or test split, it is every tenth of the training examples, from the ninth or the tenth on.
    """

    @abc.abstractmethod
    def open(self) -> OpenFiles:
        """Open the files that there are: the training split at least."""

    def load(self) -> ClassificationData:
        """Read everything, once per process."""
        return _load(self)


@functools.cache
def open_files(source: FileSource) -> OpenFiles:
    """The files of a source with all three splits, opened once per process."""
    files = source.open()
    examples, train = dict(files.examples), files.examples["train"]
    places = np.arange(len(train))
    kept = np.ones(len(train), bool)
    for split, remainder in zip(SPLITS[1:], (8, 9), strict=True):
        if split not in examples:
            held_out = places % 10 == remainder
            examples[split] = Part(train, places[held_out])
            kept &= ~held_out
    if not kept.all():
        examples["train"] = Part(train, places[kept])
    for split, part in examples.items():
        if len(part) == 0:
            raise HeuraxError(f"{source} has no {split} examples; ten training examples are enough for all splits")
    return files._replace(examples=examples)


@functools.cache
def _load(source: FileSource) -> ClassificationData:
    files = open_files(source)
    parts: dict[Split, list[Example]] = {s: [part[i] for i in range(len(part))] for s, part in files.examples.items()}
    return ClassificationData(
        inputs={split: np.stack([inputs for inputs, _ in part]) for split, part in parts.items()},
        labels={split: np.array([label for _, label in part], np.int32) for split, part in parts.items()},
        num_classes=files.num_classes,
        image_shape=files.image_shape,
    )


def image_shape(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Height, width and channels of inputs with two axes or three; None for others."""
    if len(shape) == 2:
        return (*shape, 1)
    return shape if len(shape) == 3 else None
