"""Evaluations: the statistics, the tuning, the pairing, and what is written."""

import json

import jax
import numpy as np
import pandas as pd
import pytest
import yaml

from heurax.cli import main
from heurax.config import read_config
from heurax.errors import HeuraxError
from heurax.evaluation import EvaluationConfig, bootstrap_mean, evaluate
from heurax.rules import OptaxOptimizer, Scalar
from heurax.tasks import Quadratic

CONFIG = EvaluationConfig(
    task=Quadratic(dimension=4, noise=0.1),
    num_steps=15,
    num_seeds=6,
    baselines=(OptaxOptimizer("sgd"), OptaxOptimizer("sgd", options={"momentum": 0.9})),
    learning_rates=(0.001, 0.1, 1.0, 100.0),
    num_resamples=500,
)


@pytest.fixture(scope="module")
def result():
    rule = OptaxOptimizer("sgd", 0.5)
    return evaluate(rule, rule.init(jax.random.key(0)), CONFIG)


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    intervals = [bootstrap_mean(rng.normal(size=30), num_resamples=300, seed=i) for i in range(200)]
    coverage = np.mean([low <= 0 <= high for _, low, high in intervals])
    assert 0.88 <= coverage <= 0.99
    assert bootstrap_mean(np.ones(3)) == (1.0, 1.0, 1.0)


def test_all_optimizers_meet_the_same_tasks(result):
    starts = [lives.curve[:, 0] for grid in result.grids.values() for lives in grid]
    for start in starts:
        np.testing.assert_allclose(start, result.learned.curve[:, 0], rtol=1e-6)
    assert len(set(result.learned.curve[:, 0])) == CONFIG.num_seeds


def test_learned_and_baseline_are_one_code_path():
    """The same optimizer as `learned` and as baseline: no difference at all."""
    rule = OptaxOptimizer("sgd", 0.1)
    same = evaluate(rule, rule.init(jax.random.key(0)), CONFIG)
    np.testing.assert_allclose(same.learned.final["train"], same.grids["sgd"][1].final["train"], rtol=1e-5)


def test_tuning_picks_the_best_rate_and_divergence_counts_as_the_cap(result):
    assert list(result.grids) == ["sgd", "sgd(momentum=0.9)"]
    for name, grid in result.grids.items():
        means = [lives.final["train"].mean() for lives in grid]
        assert result.tuned[name].learning_rate == CONFIG.learning_rates[int(np.argmin(means))]
        assert means[-1] == CONFIG.loss_cap
    best = result.best_baseline
    difference = result.learned.final["train"] - best.final["train"]
    np.testing.assert_allclose(result.paired_difference.mean, difference.mean(), rtol=1e-6)


def test_only_learned_optimizers_are_evaluated():
    with pytest.raises(HeuraxError, match="Scalar is not a learned optimizer"):
        evaluate(Scalar(), np.float32(1), CONFIG)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_seeds": 1}, "num_seeds must be >= 2, got 1"),
        ({"learning_rates": (0.1, 0.01)}, r"learning_rates must ascend, got \[0.1, 0.01\]"),
        ({"learning_rates": (0.0, 0.1)}, "learning_rates must be > 0"),
        ({"baselines": ()}, "baselines must name at least one optimizer"),
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1.0"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        EvaluationConfig(**fields)


@pytest.mark.slow
def test_command_line_writes_everything_and_protects_it(tmp_path, capsys):
    from heurax import artifacts
    from heurax.rules import LearnableAdam

    rule = LearnableAdam(0.1)
    artifacts.save(tmp_path / "run" / "artifact", artifacts.Artifact(rule, rule.init(jax.random.key(0))))
    config = tmp_path / "evaluation.yaml"
    config.write_text(
        "task: {class_path: Quadratic}\nnum_steps: 10\nnum_seeds: 4\n"
        "baselines: [{name: sgd}, {name: adam}]\nlearning_rates: [0.01, 0.1, 1.0]\nnum_resamples: 200\n"
    )
    command = ["evaluate", str(tmp_path / "run"), "--config", str(config)]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert "learned minus tuned" in output
    out = tmp_path / "run"
    summary = json.loads((out / "evaluation.json").read_text())
    assert {"learned", "baselines", "paired_difference", "best_baseline", "identity"} <= summary.keys()
    assert summary["paired_difference"].keys() == {"mean", "low", "high"}
    table = pd.read_csv(out / "evaluation.csv")
    assert len(table) == 4 * (1 + 2 * 3)
    assert table["tuned"].sum() == 4 * 3
    assert len(pd.read_csv(out / "evaluation_curves.csv")) == 3 * 10
    assert (out / "evaluation.png").read_bytes().startswith(b"\x89PNG")

    before = {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()}
    assert main([*command, "--seed", "1"]) == 2
    assert "belongs to another evaluation: config.seed is 0 there and 1 here" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file()} == before
    assert main([*command, "--num_seeds", "four"]) == 2
    assert "num_seeds must be int, got four" in capsys.readouterr().err


def test_the_default_config_is_written_in_full():
    text = read_config(EvaluationConfig, None)[1]
    assert [each["init_args"]["name"] for each in yaml.safe_load(text)["baselines"]] == ["sgd", "adam", "adamw"]
