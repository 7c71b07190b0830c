"""Reinforcement-learning problems behind one pure interface."""

from heurax.envs.base import Environment, EnvStep, Resets
from heurax.envs.catch import Catch
from heurax.envs.rollout import VectorState, VectorStep, refresh_resets, reset_batch, step_batch
from heurax.envs.spaces import ActionSpace, Box, Discrete

__all__ = [
    "ENVIRONMENTS",
    "ActionSpace",
    "Box",
    "Catch",
    "Discrete",
    "EnvStep",
    "Environment",
    "Resets",
    "VectorState",
    "VectorStep",
    "refresh_resets",
    "reset_batch",
    "step_batch",
]

ENVIRONMENTS: dict[str, type[Environment]] = {env.__name__: env for env in (Catch,)}
"""Environments by name."""
