"""Directories as frames: what is in them, and one sentence where they are missing, foreign or damaged."""

import math

import numpy as np
import pytest

from directories import make_evaluation, make_run, make_suite, make_sweep
from heurax.analysis import load_evaluation, load_run, load_suite, load_sweep, stack_runs
from heurax.errors import HeuraxError

LOADERS = {"run": load_run, "evaluation": load_evaluation, "suite": load_suite, "sweep": load_sweep}
MAKERS = {"run": make_run, "evaluation": make_evaluation, "suite": make_suite, "sweep": make_sweep}
every_kind = pytest.mark.parametrize("kind", LOADERS)


def test_a_run_is_its_metrics_its_config_and_what_it_came_to(tmp_path):
    run = load_run(make_run(tmp_path / "run", seed=3, gradient_norm=(1.0, 2.0, None, 4.0)))
    assert run.metrics.columns.tolist() == ["step", "meta_loss", "gradient_norm"]
    assert run.metrics["step"].tolist() == [10, 20, 30, 40]
    np.testing.assert_array_equal(run.metrics["meta_loss"], [3.0, 1.0, math.nan, 0.25])
    assert (run.status, run.seed) == ("finished", 3)
    assert run.provenance["code_version"] == "0123456789ab"
    assert [start["data"] for start in run.starts] == [{"digits": "0" * 64}]
    assert run.fields["inner.rule"] == "LearnableSGD"
    assert run.fields["outer.optimizer.warmup_steps"] == 10


def test_a_run_that_is_going_on_has_no_summary_and_perhaps_half_a_line(tmp_path):
    directory = make_run(tmp_path / "run", status=None, starts=0)
    with (directory / "metrics.jsonl").open("a") as file:
        file.write('{"step": 50, "meta_lo')
    run = load_run(directory)
    assert len(run.metrics) == 4
    assert (run.status, run.provenance) == ("unfinished", {})
    (directory / "metrics.jsonl").unlink()
    assert load_run(directory).metrics.columns.tolist() == ["step", "meta_loss"]


def test_runs_stand_on_one_another(tmp_path):
    runs = {f"run {seed}": load_run(make_run(tmp_path / str(seed), seed=seed)) for seed in (0, 1)}
    table = stack_runs(runs)
    assert table.columns.tolist() == ["run", "seed", "step", "meta_loss"]
    assert table.groupby("run")["seed"].unique().map(list).to_dict() == {"run 0": [0], "run 1": [1]}
    assert len(table) == 8


def test_an_evaluation_is_final_losses_and_curves(tmp_path):
    evaluation = load_evaluation(make_evaluation(tmp_path / "evaluation"))
    tuned = evaluation.finals[evaluation.finals["tuned"]]
    assert tuned.groupby("optimizer")["final_train_loss"].mean().to_dict() == {"adam": 0.4, "learned": 0.2}
    assert evaluation.finals["learning_rate"].isna().sum() == 2
    assert evaluation.curves.loc[evaluation.curves["optimizer"] == "adam", "mean"].tolist() == pytest.approx(
        [2, 1, 2 / 3]
    )
    assert evaluation.fields == {"num_steps": 3, "baselines": ["adam"]}
    assert evaluation.identity["artifact"] == "artifact"
    assert "identity" not in evaluation.summary


def test_a_suite_is_its_tables_and_its_summary(tmp_path):
    suite = load_suite(make_suite(tmp_path / "suite"))
    assert (suite.reference, suite.horizons) == ("adamw", [100, 200])
    assert suite.scores.groupby("optimizer")["log_ratio"].mean().to_dict() == {"adamw": 0.0, "learned": 0.5}
    assert set(suite.profiles["optimizer"]) == {"adamw", "learned"}
    assert len(suite.curves) == 2 * 2 * 2 * 2 * 3  # tasks, horizons, optimizers, seeds, points
    assert suite.fields == {"tasks": ["a", "b"]}
    assert suite.identity["artifact"] == "quickstart"


def test_a_sweep_is_its_trials_and_their_curves(tmp_path):
    sweep = load_sweep(make_sweep(tmp_path / "sweep"))
    assert sweep.trials["status"].tolist() == ["finished"] * 7 + ["failed"]
    assert sweep.ranked["name"].tolist()[:2] == ["000-seed0", "000-seed1"]
    assert len(sweep.ranked) == 7
    assert sweep.trials.loc[7, ["outer.estimator", "error"]].tolist() == ["FullES", "theta is not finite"]
    assert sweep.metrics.columns.tolist()[:5] == ["run", "point", "seed", "step", "meta_loss"]
    assert len(sweep.metrics) == 7 * 3 + 1
    assert (sweep.metric, sweep.minimizes) == ("meta_loss", True)
    assert sweep.fields["base"] == "learned_optimizers/quickstart"


@every_kind
def test_what_is_not_there_is_said_so(kind, tmp_path):
    load = LOADERS[kind]
    with pytest.raises(HeuraxError, match=f"there is no {kind} at .*: no such directory"):
        load(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(HeuraxError, match=f"there is no {kind} at .*: it is a file; give the directory"):
        load(tmp_path / "file")
    with pytest.raises(HeuraxError, match=f"there is no {kind} at .*: it has no "):
        load(tmp_path)


@pytest.mark.parametrize(
    ("kind", "file", "text", "message"),
    [
        ("run", "config.yaml", "base: [", "config.yaml cannot be read"),
        ("run", "config.yaml", "- 1", "config.yaml is damaged: it holds no YAML mapping"),
        ("run", "config.yaml", "task: ImageMLP", "its config.yaml is not that of a meta-training run"),
        ("run", "metrics.jsonl", '{"step": 1}\n{"ste\n{"step": 3}\n', "metrics.jsonl is damaged: line 2 is no JSON"),
        ("run", "metrics.jsonl", "[1]\n", "metrics.jsonl is damaged: line 1 is no JSON object"),
        ("run", "metrics.jsonl", '{"meta_loss": 1}\n', "metrics.jsonl is damaged: a record has no step"),
        ("run", "metrics.jsonl", '{"step": 1, "meta_loss": "a"}\n', "it has a metric that is no number"),
        ("run", "provenance.json", '{"starts": [1]}', "its starts are no list of JSON objects"),
        ("run", "summary.json", "{", "summary.json cannot be read"),
        ("evaluation", "evaluation.json", "[]", "evaluation.json is damaged: it holds no JSON object"),
        ("evaluation", "evaluation.json", "{}", "its evaluation.json is not heurax's"),
        ("evaluation", "evaluation.csv", "a,b\n1,2\n", "evaluation.csv is damaged: it has no column 'optimizer'"),
        ("evaluation", "evaluation_curves.csv", "", "evaluation_curves.csv cannot be read: No columns to parse"),
        ("suite", "suite.json", "{}", "its suite.json is not heurax's"),
        ("suite", "suite.json", '{"identity": {"config": {}}, "status": "running"}', "is not finished; run the same"),
        ("suite", "suite.json", '{"identity": {"config": {}}, "status": "finished"}', "its suite.json is not heurax's"),
        ("suite", "scores.parquet", "", "scores.parquet is damaged"),
        ("sweep", "sweep.json", "{", "sweep.json cannot be read"),
        ("sweep", "sweep.json", '{"schema": 99}', "sweep.json has schema 99"),
        ("sweep", "trials/000-seed0/metrics.jsonl", "1\n", "metrics.jsonl is damaged: line 1 is no JSON object"),
    ],
)
def test_damage_is_said_in_one_sentence(kind, file, text, message, tmp_path):
    directory = MAKERS[kind](tmp_path / kind)
    (directory / file).write_text(text)
    with pytest.raises(HeuraxError, match=message) as error:
        LOADERS[kind](directory)
    assert "\n" not in str(error.value)


def test_a_file_that_is_gone_is_named(tmp_path):
    directory = make_evaluation(tmp_path / "evaluation")
    (directory / "evaluation.csv").unlink()
    with pytest.raises(HeuraxError, match=r"evaluation\.csv cannot be read: No such file or directory"):
        load_evaluation(directory)
