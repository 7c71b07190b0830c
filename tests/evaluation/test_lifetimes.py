"""Lifetimes with a fixed rule: curves, files, the command."""

import json

import numpy as np
import pandas as pd
import pytest

from heurax import cli
from heurax.evaluation import LifetimesConfig, live
from heurax.inner import InfluenceBalancing

SMALL = """\
inner:
  class_path: PPO
  init_args:
    rule: DPO
    env: Catch
    num_steps: 6
    num_envs: 4
    num_rollout_steps: 9
    num_epochs: 1
    num_minibatches: 2
num_seeds: 4
num_points: 3
"""


def test_curves_are_means_over_stretches():
    """Of a lifetime without randomness, in NumPy."""
    lifetimes = live(LifetimesConfig(InfluenceBalancing(num_steps=7, num_states=3, num_positive=1), 2, num_points=3))
    state, losses = np.zeros(3), []
    for _ in range(7):
        state = 0.5 * state + 0.5 * np.append(state[1:], 0) + 0.5 * np.array([1, -1, -1])
        losses.append(0.5 * (state[0] - 1) ** 2)
    np.testing.assert_array_equal(lifetimes.step, [3, 5, 7])
    stretches = [np.mean(losses[:3]), np.mean(losses[3:5]), np.mean(losses[5:])]
    np.testing.assert_allclose(lifetimes.curves["loss"], [stretches] * 2, rtol=1e-5)
    np.testing.assert_allclose(lifetimes.meta_loss, losses[-1], rtol=1e-5)
    assert lifetimes.headline == "loss"


def test_the_command_writes_curves_and_refuses_another_configs_place(tmp_path, capsys):
    (tmp_path / "small.yaml").write_text(SMALL)
    arguments = ["live", str(tmp_path / "small.yaml"), "--out", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    assert "episode return over the last tenth: " in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "lifetimes.csv")
    assert list(table["step"]) == [2, 4, 6] * 4
    assert {"episode_return", "entropy", "kl", "nonfinite"} <= set(table.columns)
    summary = json.loads((tmp_path / "out" / "lifetimes.json").read_text())
    by_seed = table[table["step"] == 6]["episode_return"]
    np.testing.assert_allclose(summary["final_episode_return_by_seed"], by_seed, rtol=1e-5)
    assert (tmp_path / "out" / "lifetimes.png").stat().st_size > 1000
    assert cli.main([*arguments, "--inner.rule", "NoDrift"]) == 2
    assert "belongs to another evaluation: config.inner.rule" in capsys.readouterr().err


def test_refusals():
    with pytest.raises(ValueError, match="num_seeds must be >= 2, got 1"):
        LifetimesConfig(num_seeds=1)
