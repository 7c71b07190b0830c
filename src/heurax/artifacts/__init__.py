"""Saving and loading discovered rules."""

from heurax.artifacts.artifact import SCHEMA_VERSION, Artifact, load, save

__all__ = ["SCHEMA_VERSION", "Artifact", "load", "save"]
