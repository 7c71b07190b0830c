"""Supervised problems a lifetime trains on: task families, augmentation and data sets."""

from heurax.tasks.augmentation import Reparameterized
from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.datasets import DATASETS, ClassificationData
from heurax.tasks.image_mlp import ImageMLP
from heurax.tasks.quadratic import Quadratic

__all__ = ["DATASETS", "TASKS", "ClassificationData", "ImageMLP", "Quadratic", "Reparameterized", "Split", "TaskFamily"]

TASKS: dict[str, type[TaskFamily]] = {task.__name__: task for task in (ImageMLP, Quadratic, Reparameterized)}
"""Task families by name."""
