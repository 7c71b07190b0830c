"""Drifts: what keeps a new policy near the old one, from PPO's clipping to learned networks; one file per drift."""

from heurax.rules.drifts.base import Drift, DriftFunction
from heurax.rules.drifts.dpo import DPO
from heurax.rules.drifts.lpo import LPO, TemporallyAwareLPO
from heurax.rules.drifts.no_drift import NoDrift
from heurax.rules.drifts.ppo_clip import PPOClip
from heurax.rules.drifts.ppo_kl import PPOKL
from heurax.rules.drifts.quadratic import QuadraticDrift

__all__ = [
    "DPO",
    "DRIFTS",
    "LPO",
    "PPOKL",
    "Drift",
    "DriftFunction",
    "NoDrift",
    "PPOClip",
    "QuadraticDrift",
    "TemporallyAwareLPO",
]

DRIFTS: dict[str, type[Drift]] = {
    drift.__name__: drift for drift in (DPO, LPO, NoDrift, PPOClip, PPOKL, QuadraticDrift, TemporallyAwareLPO)
}
"""Drifts by name."""
