"""The single-file PPO that heurax is measured against has the same settings."""

import pytest
from scripts.reproduce.ppo import TASKS

from heurax.config import find_config, read_config
from heurax.evaluation import LifetimesConfig
from heurax.inner import PPO
from heurax.rules import OptaxOptimizer, PPOClip


@pytest.mark.parametrize("task", TASKS)
def test_both_implementations_have_the_same_settings(task):
    config, overrides, theirs = TASKS[task]
    inner = read_config(LifetimesConfig, find_config(config), list(overrides))[0].inner
    assert isinstance(inner, PPO)
    optimizer, drift = inner.optimizer, inner.rule
    assert isinstance(optimizer, OptaxOptimizer)
    assert isinstance(drift, PPOClip)
    assert inner.env.name == theirs.name
    ours = {
        "num_updates": inner.num_steps,
        "num_envs": inner.num_envs,
        "num_steps": inner.num_rollout_steps,
        "num_epochs": inner.num_epochs,
        "num_minibatches": inner.num_minibatches,
        "learning_rate": optimizer.learning_rate,
        "anneal": {"linear": True, "constant": False}[optimizer.schedule],
        "discount": inner.discount,
        "gae_lambda": inner.trace_decay,
        "clip": drift.epsilon,
        "entropy_weight": inner.entropy_weight,
        "value_weight": inner.value_weight,
        "max_gradient_norm": inner.max_gradient_norm,
        "hidden_size": inner.network.hidden_sizes[0],
        "activation": inner.network.activation,
    }
    assert ours == {name: getattr(theirs, name) for name in ours}
    assert (optimizer.name, optimizer.options, inner.value_clip) == ("adam", {"eps": 1e-5}, theirs.clip)
