"""NumPy arrays on disk, of any size: mapped into memory, read where they are asked for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heurax.errors import HeuraxError
from heurax.tasks.base import Split
from heurax.tasks.datasets.files import SPLITS, Examples, FileSource, OpenFiles, Reader, image_shape

__all__ = ["NumpyFiles"]


@dataclass(frozen=True)
class NumpyFiles(FileSource):
    """Arrays `train_inputs.npy` and `train_labels.npy` in a folder, and likewise `validation_...` and `test_...`.

    Inputs are `[examples, features]`, `[examples, height, width]` or `[examples, height, width, channels]`, float32 or
    uint8 (0 to 255 for 0 to 1); labels integers `[examples]` from 0 on. Arrays of Python objects, which can run code
    when they are read, are refused.

    Args:
        folder: where the files lie.

    >>> NumpyFiles("data/arrays").folder
    'data/arrays'
    """

    folder: str

    def open(self) -> OpenFiles:
        """Map the arrays into memory."""
        folder = Path(self.folder)
        present: list[Split] = [
            split for split in SPLITS if split == "train" or (folder / f"{split}_inputs.npy").is_file()
        ]
        arrays: dict[Split, tuple[np.ndarray, np.ndarray]] = {
            s: (_map(folder / f"{s}_inputs.npy"), _map(folder / f"{s}_labels.npy")) for s in present
        }
        for split, (inputs, labels) in arrays.items():
            if inputs.ndim < 2 or inputs.ndim > 4 or labels.shape != inputs.shape[:1] or labels.dtype.kind not in "iu":
                raise HeuraxError(
                    f"{folder}: {split} inputs {inputs.dtype} {list(inputs.shape)} do not go with labels "
                    f"{labels.dtype} {list(labels.shape)}"
                )
        num_classes = 1 + max((int(labels.max()) for _, labels in arrays.values() if len(labels)), default=0)
        shape = arrays["train"][0].shape[1:]
        readers: dict[Split, Examples] = {
            split: _reader(folder, split, *pair, num_classes, shape) for split, pair in arrays.items()
        }
        return OpenFiles(readers, num_classes, image_shape(shape))


def _reader(
    folder: Path, split: Split, inputs: np.ndarray, labels: np.ndarray, num_classes: int, shape: tuple[int, ...]
) -> Reader:
    return Reader(
        read=lambda i: (np.asarray(inputs[i]), int(labels[i])),
        name=lambda i: f"{folder}: {split} example {i}",
        length=len(labels),
        num_classes=num_classes,
        shape=shape,
    )


def _map(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error
        raise HeuraxError(f"{path} cannot be read: {reason}") from error
