"""Saving and loading discovered rules."""

from heurax.artifacts.artifact import SCHEMA_VERSION, Artifact, load, save, zoo
from heurax.artifacts.pretrained import PretrainedDrift, PretrainedOptimizer

__all__ = ["SCHEMA_VERSION", "Artifact", "PretrainedDrift", "PretrainedOptimizer", "load", "save", "zoo"]
