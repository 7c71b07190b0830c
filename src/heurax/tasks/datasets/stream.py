"""Streams: data sets that are too large for the device, of which it holds a part at a time."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from heurax.tasks.base import Split
from heurax.tasks.datasets.data import ClassificationData, DataSource
from heurax.tasks.datasets.files import SPLITS, Examples, FileSource, OpenFiles, open_files

__all__ = ["Chunk", "Stream", "read_chunks", "streams_in", "with_chunks"]

NUM_HELD_OUT = 2048
"""Validation and test examples, each, that are held on the device."""


class Chunk(NamedTuple):
    """Examples that are on the device together.

    Attributes:
        inputs: `[examples, features]`, float32 or bytes.
        labels: int32 `[examples]`.
    """

    inputs: Any
    labels: Any


@dataclass(frozen=True)
class Stream(DataSource):
    """Training examples of a source, a chunk at a time, in an order that is shuffled anew in every pass.

    A lifetime draws its batches from the chunk that is on the device, as from a data set that fits. A run exchanges the
    chunk between dispatches: the next is read from disk and copied while the last one is in use, and nothing is copied
    while a compiled program runs. What a dispatch sees follows from its place in the run alone, and checkpoints hold
    that place: a run that was killed goes on with the same examples. Outside of runs (in evaluations, or in lifetimes
    of your own) the first chunk stays. Validation and test examples are the first 2,048 of each, and stay.

    Args:
        source: where the examples lie.
        chunk_size: training examples on the device; >= 1.
        seed: of their order.

    >>> from heurax.tasks import NumpyFiles
    >>> Stream(NumpyFiles("data/arrays"), chunk_size=1024).seed
    0
    """

    source: FileSource
    chunk_size: int = 4096
    seed: int = 0

    def __post_init__(self) -> None:
        if self.chunk_size < 1:
            raise ValueError(f"chunk_size must be >= 1, got {self.chunk_size}")

    def load(self) -> ClassificationData:
        """The first chunk."""
        return _held_out(self).with_train(_first_chunk(self))

    def shapes(self) -> Chunk:
        """Shapes and dtypes of every chunk, as an example of zeros."""
        inputs, _ = open_files(self.source).examples["train"][0]
        return Chunk(np.zeros((self.chunk_size, *inputs.shape), inputs.dtype), np.zeros((self.chunk_size,), np.int32))


class _HeldOut(NamedTuple):
    """What of a source stays on the device."""

    inputs: dict[Split, np.ndarray]
    labels: dict[Split, np.ndarray]
    files: OpenFiles

    def with_train(self, chunk: Chunk) -> ClassificationData:
        """The data set whose training examples are a chunk."""
        return ClassificationData(
            {**self.inputs, "train": chunk.inputs},
            {**self.labels, "train": chunk.labels},
            self.files.num_classes,
            self.files.image_shape,
        )


@dataclass(frozen=True)
class _OnDevice(DataSource):
    """What a stream is inside of a compiled program: the chunk that the program was given."""

    stream: Stream
    chunk: Chunk

    def load(self) -> ClassificationData:
        """The chunk, whose arrays are traced."""
        return _held_out(self.stream).with_train(self.chunk)


def read_chunks(stream: Stream) -> Iterator[Chunk]:
    """The chunks of a stream, without end.

    Returns:
        An iterator of grain's: `get_state()` is its place as JSON, `set_state(place)` goes there.
    """
    import grain  # slow to import, and needed only here

    train: Any = open_files(stream.source).examples["train"]
    examples = grain.MapDataset.source(train).seed(stream.seed).shuffle().repeat()
    chunks = examples.batch(stream.chunk_size).map(lambda batch: Chunk(*batch))
    return iter(chunks.to_iter_dataset(grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)))


def streams_in(tree: Any) -> tuple[Stream, ...]:
    """The streams that descriptions (dataclasses in dataclasses and tuples) refer to, each once, in order."""
    if isinstance(tree, Stream):
        return (tree,)
    if isinstance(tree, tuple):
        parts = tree
    elif dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        parts = tuple(getattr(tree, field.name) for field in dataclasses.fields(tree))
    else:
        parts = ()
    return tuple(dict.fromkeys(stream for part in parts for stream in streams_in(part)))


def with_chunks(tree: Any, chunks: Mapping[Stream, Chunk]) -> Any:
    """The same descriptions, with a chunk in the place of each stream; for use inside of a compiled program."""
    if isinstance(tree, Stream):
        return _OnDevice(tree, chunks[tree])
    if not streams_in(tree):
        return tree
    if isinstance(tree, tuple):
        return tuple(with_chunks(part, chunks) for part in tree)
    parts = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    return dataclasses.replace(tree, **{n: with_chunks(x, chunks) for n, x in parts.items() if streams_in(x)})


@functools.cache
def _first_chunk(stream: Stream) -> Chunk:
    return next(read_chunks(stream))


@functools.cache
def _held_out(stream: Stream) -> _HeldOut:
    files = open_files(stream.source)
    kept: dict[Split, Examples] = {split: files.examples[split] for split in SPLITS[1:]}
    parts: dict[Split, list[Any]] = {
        split: [part[i] for i in range(min(len(part), NUM_HELD_OUT))] for split, part in kept.items()
    }
    return _HeldOut(
        {split: np.stack([inputs for inputs, _ in part]) for split, part in parts.items()},
        {split: np.array([label for _, label in part], np.int32) for split, part in parts.items()},
        files,
    )
