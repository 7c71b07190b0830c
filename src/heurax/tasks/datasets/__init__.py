"""Data: what ships with the libraries that heurax needs, what can be made, and files in a folder."""

from heurax.tasks.datasets.data import ClassificationData, DataSource
from heurax.tasks.datasets.drawing import draw, draw_indices, first
from heurax.tasks.datasets.embedded import digits
from heurax.tasks.datasets.files import FileSource
from heurax.tasks.datasets.hugging_face import HuggingFaceData
from heurax.tasks.datasets.image_files import ImageFiles
from heurax.tasks.datasets.image_folder import ImageFolder
from heurax.tasks.datasets.loading import DATASETS, load_dataset
from heurax.tasks.datasets.numpy_files import NumpyFiles
from heurax.tasks.datasets.record_files import RecordFiles, write_records
from heurax.tasks.datasets.stream import Stream
from heurax.tasks.datasets.text import ALPHABET, TEXTS, TextData

__all__ = [
    "ALPHABET",
    "DATASETS",
    "DATA_SOURCES",
    "TEXTS",
    "ClassificationData",
    "DataSource",
    "FileSource",
    "HuggingFaceData",
    "ImageFiles",
    "ImageFolder",
    "NumpyFiles",
    "RecordFiles",
    "Stream",
    "TextData",
    "digits",
    "draw",
    "draw_indices",
    "first",
    "load_dataset",
    "write_records",
]

DATA_SOURCES: dict[str, type[DataSource]] = {
    source.__name__: source for source in (HuggingFaceData, ImageFiles, ImageFolder, NumpyFiles, RecordFiles, Stream)
}
"""Where labelled data can come from, by name."""
