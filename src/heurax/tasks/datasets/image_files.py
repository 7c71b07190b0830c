"""Image sets in the formats in which MNIST and CIFAR are published, read from a folder."""

import functools
import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from heurax.errors import HeuraxError
from heurax.tasks.datasets.data import ClassificationData, DataSource

__all__ = ["ImageFiles", "read_idx"]

IDX_FILES = {"train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")} | {
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
}
CIFAR_FILES = {
    "cifar10": {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]},
    "cifar100": {"train": ["train.bin"], "test": ["test.bin"]},
}
CIFAR_PIXELS = 32 * 32 * 3


@dataclass(frozen=True)
class ImageFiles(DataSource):
    """Images and labels in a folder on this machine.

    `idx` is the format of MNIST and Fashion-MNIST (`train-images-idx3-ubyte`, ..., gzipped or not); `cifar10` and
    `cifar100` are the *binary* versions of CIFAR (`data_batch_1.bin`, ...; `train.bin`, with the 100 fine labels). The
    Python versions are pickles, which can run code when they are opened, and are not read. The last tenth of the
    training images, at least one, is the validation split.

    Args:
        folder: where the files lie.
        format: idx, cifar10 or cifar100.
        size: side of the images, which are averaged down to it; None leaves them as they are.
        grey: average the channels.

    >>> ImageFiles("cifar", "cifar10", size=8, grey=True).size
    8
    """

    folder: str
    format: Literal["idx", "cifar10", "cifar100"] = "idx"
    size: int | None = None
    grey: bool = False

    def __post_init__(self) -> None:
        if self.format not in ("idx", *CIFAR_FILES):
            raise ValueError(f"format must be idx, cifar10 or cifar100, got {self.format!r}")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be >= 1, got {self.size}")

    def load(self) -> ClassificationData:
        """Read the files, once per process.

        Raises:
            HeuraxError: a file is missing, or is not what its name says.
        """
        return _load(self)


@functools.cache
def _load(source: ImageFiles) -> ClassificationData:
    read = _read_idx_pair if source.format == "idx" else _read_cifar
    images, labels = {}, {}
    for part in ("train", "test"):
        pixels, labels[part] = read(source, part)
        if source.grey:
            pixels = np.rint(pixels.mean(axis=3, keepdims=True)).astype(np.uint8)
        images[part] = pixels if source.size is None else _resize(pixels, source.size)
    _, height, width, channels = images["train"].shape
    if images["test"].shape[1:] != (height, width, channels):
        raise HeuraxError(f"{source.folder}: the test images are not of the training images' size")
    num_train = len(labels["train"]) - max(len(labels["train"]) // 10, 1)
    if num_train < 1:
        raise HeuraxError(f"{source.folder}: at least two training images are needed, got {len(labels['train'])}")
    flat = {part: x.reshape(len(x), -1) for part, x in images.items()}
    return ClassificationData(
        inputs={
            "train": flat["train"][:num_train],
            "validation": flat["train"][num_train:],
            "test": flat["test"],
        },
        labels={
            "train": labels["train"][:num_train],
            "validation": labels["train"][num_train:],
            "test": labels["test"],
        },
        num_classes=1 + int(max(part.max() for part in labels.values())),
        image_shape=(height, width, channels),
    )


def read_idx(path: Path) -> np.ndarray:
    """Read one IDX file of unsigned bytes, gzipped where its name ends in .gz.

    Four bytes 0, 0, 8 and the number of axes; the axes' lengths as big-endian 32-bit integers; the bytes.

    Raises:
        HeuraxError: it cannot be read, or is no such file.
    """
    content = _read(path)
    num_axes = content[3] if len(content) >= 4 else 0
    start = 4 + 4 * num_axes
    if content[:3] != b"\0\0\x08" or num_axes == 0 or len(content) < start:
        raise HeuraxError(f"{path} is not an IDX file of unsigned bytes")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", num_axes, offset=4))
    if len(content) - start != math.prod(shape):
        raise HeuraxError(
            f"{path} should hold {math.prod(shape):,} bytes after its header and holds {len(content) - start:,}; "
            "was it cut short?"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _read_idx_pair(source: ImageFiles, part: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = (read_idx(_find_idx(Path(source.folder), name)) for name in IDX_FILES[part])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or len(images) == 0:
        raise HeuraxError(
            f"{source.folder}: {part} images of shape {list(images.shape)} do not go with labels of shape "
            f"{list(labels.shape)}"
        )
    return images[..., None], labels.astype(np.int32)


def _find_idx(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise HeuraxError(f"there is no {name} (or {name}.gz) in {folder}")


def _read_cifar(source: ImageFiles, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label (CIFAR-100: coarse, then fine) and 3,072 pixels, channels first."""
    num_labels, num_classes = (1, 10) if source.format == "cifar10" else (2, 100)
    records = []
    for name in CIFAR_FILES[source.format][part]:
        path = Path(source.folder) / name
        if not path.is_file():
            raise HeuraxError(
                f"there is no {name} in {source.folder}; the binary version of {source.format} is wanted, whose files "
                "end in .bin"
            )
        content = _read(path)
        if len(content) == 0 or len(content) % (num_labels + CIFAR_PIXELS):
            raise HeuraxError(f"{path} does not hold whole records of {num_labels + CIFAR_PIXELS:,} bytes")
        records.append(np.frombuffer(content, np.uint8).reshape(-1, num_labels + CIFAR_PIXELS))
    together = np.concatenate(records)
    labels = together[:, num_labels - 1].astype(np.int32)
    if labels.max() >= num_classes:
        raise HeuraxError(f"{source.folder} holds the label {labels.max()}, and {source.format} has {num_classes}")
    return together[:, num_labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise HeuraxError(f"{path} cannot be read: {error}") from error


def _resize(images: np.ndarray, size: int) -> np.ndarray:
    """Average down to squares of a size, pixels that lie across an edge shared between both sides."""
    rows, columns = (_averaging(old, size) for old in images.shape[1:3])
    averaged = np.einsum("rh,nhwk,cw->nrck", rows, images, columns, optimize=True)
    return np.rint(averaged).astype(np.uint8)


def _averaging(old: int, new: int) -> np.ndarray:
    """Weights `[new, old]` of the old pixels in each new one."""
    if new > old:
        raise HeuraxError(f"size must be at most that of the images, {old}, got {new}")
    edges = np.linspace(0, old, new + 1)
    pixel = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(overlap, 0).astype(np.float32) * np.float32(new / old)
