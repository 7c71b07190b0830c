"""How rules improve: meta-gradient estimators, evolution strategies, outer optimizers, and the outer step."""

from heurax.outer.base import Estimate, Estimator, OuterLoop
from heurax.outer.descent import Descent, DescentState
from heurax.outer.estimators import FullES, PersistentES, TruncatedES, TruncatedGradient
from heurax.outer.evolution import Evolution, EvolutionState, strategies
from heurax.outer.optimizer import OuterOptimizer

__all__ = [
    "ESTIMATORS",
    "OUTER_LOOPS",
    "Descent",
    "DescentState",
    "Estimate",
    "Estimator",
    "Evolution",
    "EvolutionState",
    "FullES",
    "OuterLoop",
    "OuterOptimizer",
    "PersistentES",
    "TruncatedES",
    "TruncatedGradient",
    "strategies",
]

ESTIMATORS: dict[str, type[Estimator]] = {
    estimator.__name__: estimator for estimator in (FullES, PersistentES, TruncatedES, TruncatedGradient)
}
"""Estimators by name."""

OUTER_LOOPS: dict[str, type[OuterLoop]] = {loop.__name__: loop for loop in (Descent, Evolution)}
"""Outer loops by name."""
