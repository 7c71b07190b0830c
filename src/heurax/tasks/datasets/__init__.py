"""Data: what ships with the libraries that heurax needs, what can be made, and files in a folder."""

from heurax.tasks.datasets.data import ClassificationData
from heurax.tasks.datasets.drawing import draw, draw_indices, first
from heurax.tasks.datasets.embedded import digits
from heurax.tasks.datasets.image_files import ImageFiles
from heurax.tasks.datasets.loading import DATASETS, load_dataset
from heurax.tasks.datasets.text import ALPHABET, TEXTS, TextData

__all__ = [
    "ALPHABET",
    "DATASETS",
    "TEXTS",
    "ClassificationData",
    "ImageFiles",
    "TextData",
    "digits",
    "draw",
    "draw_indices",
    "first",
    "load_dataset",
]
