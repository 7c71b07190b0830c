"""Saving and loading discovered rules."""

from heurax.artifacts.artifact import SCHEMA_VERSION, Artifact, load, locate, save, zoo
from heurax.artifacts.partly_trained import PartlyTrained
from heurax.artifacts.pretrained import PretrainedDrift, PretrainedObjective, PretrainedOptimizer

__all__ = [
    "SCHEMA_VERSION",
    "Artifact",
    "PartlyTrained",
    "PretrainedDrift",
    "PretrainedObjective",
    "PretrainedOptimizer",
    "load",
    "locate",
    "save",
    "zoo",
]
