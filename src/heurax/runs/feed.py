"""The feed of a run: what its streams bring to the devices, a chunk ahead."""

import concurrent.futures
from types import TracebackType
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from heurax.tasks.datasets.stream import Chunk, Stream, read_chunks

__all__ = ["Feed"]

Place = dict[str, Any]
"""Where each stream is, by its number: JSON."""


class Feed:
    """The chunks of a run's streams, each on all devices; the next ones are read while the last ones are in use.

    Args:
        streams: of the run.
        mesh: of its devices.
        place: where to go on; None begins at the beginning.
    """

    def __init__(self, streams: tuple[Stream, ...], mesh: Mesh, place: Place | None = None) -> None:
        self._sharding = NamedSharding(mesh, PartitionSpec())
        self._iterators: list[Any] = [read_chunks(stream) for stream in streams]
        self._place = place or self._get_place()
        for number, where in self._place.items():
            self._iterators[int(number)].set_state(where)
        self._reader = concurrent.futures.ThreadPoolExecutor(1, "feed")
        self._next = self._reader.submit(self._read)

    @property
    def place(self) -> Place:
        """After the chunks that were last taken."""
        return self._place

    def take(self) -> tuple[Chunk, ...]:
        """The next chunk of every stream.

        Raises:
            HeuraxError: an example cannot be read.
        """
        chunks, self._place = self._next.result()
        self._next = self._reader.submit(self._read)
        return chunks

    def __enter__(self) -> "Feed":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.shutdown(cancel_futures=True)

    def _read(self) -> tuple[tuple[Chunk, ...], Place]:
        chunks = tuple(self._on_devices(next(iterator)) for iterator in self._iterators)
        return chunks, self._get_place()

    def _get_place(self) -> Place:
        return {str(number): iterator.get_state() for number, iterator in enumerate(self._iterators)}

    def _on_devices(self, chunk: Chunk) -> Chunk:
        """A copy on each device of the mesh; processes hold copies of their own."""
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, self._sharding, lambda index: x[index]), chunk
        )
