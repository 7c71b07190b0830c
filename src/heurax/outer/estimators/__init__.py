"""Estimators of the meta-gradient, one file each."""

from heurax.outer.estimators.evolutionary import EvolutionaryEstimator
from heurax.outer.estimators.full_es import FullES
from heurax.outer.estimators.persistent_es import PersistentES
from heurax.outer.estimators.truncated_es import TruncatedES
from heurax.outer.estimators.truncated_gradient import TruncatedGradient

__all__ = ["EvolutionaryEstimator", "FullES", "PersistentES", "TruncatedES", "TruncatedGradient"]
