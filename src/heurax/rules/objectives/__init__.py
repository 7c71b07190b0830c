"""Objectives: what agents predict and what they learn from, from A2C to discovered rules; one file per rule."""

from heurax.rules.objectives.actor_critic import ActorCritic
from heurax.rules.objectives.base import Head, Objective, ObjectiveRule, Outputs, Trajectory
from heurax.rules.objectives.disco import Disco
from heurax.rules.objectives.lpg import LPG, TemporallyAwareLPG

__all__ = [
    "LPG",
    "OBJECTIVES",
    "ActorCritic",
    "Disco",
    "Head",
    "Objective",
    "ObjectiveRule",
    "Outputs",
    "TemporallyAwareLPG",
    "Trajectory",
]

OBJECTIVES: dict[str, type[ObjectiveRule]] = {
    rule.__name__: rule for rule in (ActorCritic, Disco, LPG, TemporallyAwareLPG)
}
"""Objectives by name."""
