"""Folders of image files, one folder per class."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from heurax.errors import HeuraxError
from heurax.tasks.base import Split
from heurax.tasks.datasets.files import SPLITS, Examples, FileSource, OpenFiles, Reader

__all__ = ["ImageFolder", "read_image"]

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"}


@dataclass(frozen=True)
class ImageFolder(FileSource):
    """Images `FOLDER/train/CLASS/NAME.png`, and likewise `validation` and `test`; or `FOLDER/CLASS/NAME.png`.

    Labels are the places of the classes' names in alphabetical order. Names end in png, jpg, jpeg, bmp, gif or webp.

    Args:
        folder: where the classes, or the splits, lie.
        size: side of the images, which are resized to squares; None leaves them as they are, all of one size.
        grey: one channel instead of three.

    >>> ImageFolder("data/flowers", size=32).grey
    False
    """

    folder: str
    size: int | None = None
    grey: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be >= 1, got {self.size}")

    def open(self) -> OpenFiles:
        """List the files; no image but the first is read."""
        folder = Path(self.folder)
        if not folder.is_dir():
            raise HeuraxError(f"there is no folder {folder}")
        in_splits = (folder / "train").is_dir()
        roots: dict[Split, Path] = {"train": folder}
        if in_splits:
            roots = {split: folder / split for split in SPLITS if (folder / split).is_dir()}
        classes = sorted(path.name for path in roots["train"].iterdir() if path.is_dir())
        files: dict[Split, list[tuple[Path, int]]] = {split: _list(root, classes) for split, root in roots.items()}
        if not files["train"]:
            raise HeuraxError(f"{roots['train']} has no images: CLASS/NAME.png (or {', '.join(sorted(ENDINGS))})")
        shape = read_image(files["train"][0][0], self.size, self.grey).shape
        readers: dict[Split, Examples] = {
            split: self._reader(part, len(classes), shape) for split, part in files.items()
        }
        return OpenFiles(readers, len(classes), shape)

    def _reader(self, files: list[tuple[Path, int]], num_classes: int, shape: tuple[int, int, int]) -> Reader:
        return Reader(
            read=lambda i: (read_image(files[i][0], self.size, self.grey), files[i][1]),
            name=lambda i: str(files[i][0]),
            length=len(files),
            num_classes=num_classes,
            shape=shape,
        )


def _list(root: Path, classes: list[str]) -> list[tuple[Path, int]]:
    return [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((root / name).glob("*"))
        if path.suffix.lower() in ENDINGS
    ]


def read_image(file: object, size: int | None, grey: bool) -> np.ndarray:
    """An image as bytes `[height, width, channels]`.

    Args:
        file: a path, or an image of Pillow.
        size: side to which it is resized, averaging; None for none.
        grey: one channel instead of three.

    Raises:
        HeuraxError: it cannot be read.
    """
    from PIL import Image  # slow to import, and needed only here

    try:
        image = file if isinstance(file, Image.Image) else Image.open(str(file))
        image = image.convert("L" if grey else "RGB")
    except Exception as error:  # each format has errors of its own
        raise HeuraxError(f"{file} cannot be read as an image ({type(error).__name__})") from error
    if size is not None:
        image = image.resize((size, size), Image.Resampling.BOX)
    pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if grey else pixels
