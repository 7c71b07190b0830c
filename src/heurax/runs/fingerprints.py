"""Fingerprints of the data that a config names, so that a run can be told apart from one on other data."""

import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from heurax.tasks import DATASETS, TEXTS, ImageFiles
from heurax.tasks.datasets import load_dataset

__all__ = ["data_fingerprints"]

FIELDS = ("dataset", "datasets", "text")
"""Where configs name data sets and texts."""


def data_fingerprints(config: Any) -> dict[str, str]:
    """SHA-256 of the arrays of every data set and text that a config names, by its name.

    Over the splits in the order of their names, and in each over dtype, shape and bytes of inputs and labels, or of
    tokens. Data that is streamed, or given to `OwnTask` as functions, has none.

    Args:
        config: a dataclass, searched through all its fields.

    >>> from heurax.tasks import ImageMLP
    >>> list(data_fingerprints(ImageMLP()))
    ['digits']
    """
    return {_name(data): _digest(_arrays(data)) for data in dict.fromkeys(_named(config))}


def _named(value: Any) -> Iterator[str | ImageFiles]:
    if isinstance(value, ImageFiles):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inside = getattr(value, field.name)
            if field.name in FIELDS:
                names = inside if isinstance(inside, list | tuple) else [inside]
                yield from (name for name in names if isinstance(name, str) and (name in DATASETS or name in TEXTS))
            yield from _named(inside)
    elif isinstance(value, list | tuple):
        for inside in value:
            yield from _named(inside)
    elif isinstance(value, dict):
        yield from _named(list(value.values()))


def _name(data: str | ImageFiles) -> str:
    return data if isinstance(data, str) else f"{data.format} in {data.folder}"


def _arrays(data: str | ImageFiles) -> list[np.ndarray]:
    if isinstance(data, str) and data in TEXTS:
        return [tokens for _, tokens in sorted(TEXTS[data]().tokens.items())]
    examples = load_dataset(data)
    return [part[split] for split in sorted(examples.inputs) for part in (examples.inputs, examples.labels)]


def _digest(arrays: list[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
