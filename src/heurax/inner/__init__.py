"""How one lifetime runs: inner loops, pure and written for one lifetime."""

from heurax.inner.base import InnerLoop, StepResult
from heurax.inner.influence_balancing import InfluenceBalancing
from heurax.inner.supervised import SupervisedState, SupervisedTraining

__all__ = [
    "INNER_LOOPS",
    "InfluenceBalancing",
    "InnerLoop",
    "StepResult",
    "SupervisedState",
    "SupervisedTraining",
]

INNER_LOOPS: dict[str, type[InnerLoop]] = {loop.__name__: loop for loop in (InfluenceBalancing, SupervisedTraining)}
"""Inner loops by name."""
