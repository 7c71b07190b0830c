"""Reinforcement-learning problems behind one pure interface."""

from heurax.envs.base import Environment, EnvStep, Resets
from heurax.envs.brax import Brax
from heurax.envs.catch import Catch
from heurax.envs.delayed_chain import DelayedChain
from heurax.envs.grid_levels import GRID_LEVELS, GridLevel, GridLevels, GridObject
from heurax.envs.grid_world import GridWorld
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
from heurax.envs.playground import Playground
from heurax.envs.random_mdp import RandomMDP
from heurax.envs.rollout import VectorState, VectorStep, refresh_resets, reset_batch, step_batch
from heurax.envs.snake import Snake
from heurax.envs.spaces import ActionSpace, Box, Discrete
from heurax.envs.wrappers import ActionRepeat, ClipAction, FrameStack, LevelPerEpisode, TimeLimit

__all__ = [
    "ENVIRONMENTS",
    "GRID_LEVELS",
    "ActionRepeat",
    "ActionSpace",
    "Box",
    "Brax",
    "Catch",
    "ClipAction",
    "DelayedChain",
    "Discrete",
    "EnvStep",
    "Environment",
    "FrameStack",
    "GridLevel",
    "GridLevels",
    "GridObject",
    "GridWorld",
    "Gymnax",
    "LevelPerEpisode",
    "Playground",
    "RandomMDP",
    "Resets",
    "RewardScale",
    "RunningStatistics",
    "Snake",
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
    env.__name__: env
    for env in (
        Catch,
        DelayedChain,
        GridWorld,
        RandomMDP,
        Snake,
        Brax,
        Gymnax,
        Playground,
        ActionRepeat,
        ClipAction,
        FrameStack,
        LevelPerEpisode,
        TimeLimit,
    )
}
"""Environments by name: our own, the adapters, the wrappers."""
