"""Reinforcement-learning problems behind one pure interface."""

from heurax.envs.base import Environment, EnvStep, Resets
from heurax.envs.brax import Brax
from heurax.envs.catch import Catch
from heurax.envs.gymnax import Gymnax
from heurax.envs.normalise import (
    RewardScale,
    RunningStatistics,
    init_reward_scale,
    init_statistics,
    scale_rewards,
    standardise,
    update_statistics,
)
from heurax.envs.rollout import VectorState, VectorStep, refresh_resets, reset_batch, step_batch
from heurax.envs.spaces import ActionSpace, Box, Discrete
from heurax.envs.wrappers import ActionRepeat, ClipAction, FrameStack, LevelPerEpisode, TimeLimit

__all__ = [
    "ENVIRONMENTS",
    "ActionRepeat",
    "ActionSpace",
    "Box",
    "Brax",
    "Catch",
    "ClipAction",
    "Discrete",
    "EnvStep",
    "Environment",
    "FrameStack",
    "Gymnax",
    "LevelPerEpisode",
    "Resets",
    "RewardScale",
    "RunningStatistics",
    "TimeLimit",
    "VectorState",
    "VectorStep",
    "init_reward_scale",
    "init_statistics",
    "refresh_resets",
    "reset_batch",
    "scale_rewards",
    "standardise",
    "step_batch",
    "update_statistics",
]

ENVIRONMENTS: dict[str, type[Environment]] = {
    env.__name__: env for env in (ActionRepeat, Brax, Catch, ClipAction, FrameStack, Gymnax, LevelPerEpisode, TimeLimit)
}
"""Environments by name, and what wraps them."""
