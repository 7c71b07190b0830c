"""Suites: all is trained, tuned and judged as they say; a killed one goes on; scores are those of the tables."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from heurax import artifacts
from heurax.artifacts import Artifact
from heurax.cli import main
from heurax.errors import HeuraxError
from heurax.evaluation import Suite, evaluate_suite, find_suite, read_table, suite_table, suite_verdict, suites
from heurax.evaluation.baselines import BASELINES, AtRate, learning_rate_at, sample_settings
from heurax.evaluation.side_by_side import Problem, SideBySide, point_ends
from heurax.evaluation.suite_scores import score_table, times_to_target
from heurax.inner import SupervisedTraining
from heurax.rules import Celo2, LearnableSGD, OptaxOptimizer, Scalar
from heurax.tasks import Quadratic

SUITE = Suite(
    tasks=(),
    own_tasks={"bowl": Quadratic(dimension=4, noise=0.1), "valley": Quadratic(dimension=3, condition_number=30.0)},
    num_steps=(8, 12),
    baselines=("adam", "adamw"),
    searches=("adamw",),
    num_trials=3,
    learning_rates=(0.01, 0.1, 1.0),
    num_tuning_seeds=2,
    num_seeds=3,
    yardstick_steps=24,
    lanes=4,
    num_points=4,
    num_resamples=200,
)
RULE = LearnableSGD(0.3)
IDENTITY = {"artifact": "test"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = tmp_path_factory.mktemp("suite")
    described = evaluate_suite(RULE, RULE.init(jax.random.key(0)), SUITE, directory, IDENTITY)
    tables = {name: read_table(directory, name) for name in ("runs", "curves", "scores", "profiles", "costs")}
    return SimpleNamespace(directory=directory, described=described, **tables)


def test_every_optimizer_is_tuned_and_judged_on_other_seeds(finished):
    runs = finished.runs
    assert set(runs["optimizer"]) == {"learned", "adam", "adamw", "adamw_search"}
    tuning, judging = (runs[runs["stage"] == stage] for stage in ("tuning", "judging"))
    assert not set(tuning["seed"]) & set(judging["seed"])
    by = ["task", "num_steps", "optimizer"]
    for key, rows in judging.groupby(by):
        tried = tuning[(tuning[by] == list(key)).all(axis=1)]
        best = tried.groupby("setting")["final_train_loss"].mean().idxmin()
        assert set(rows["setting"]) == {best}
        assert set(tried.loc[tried["chosen"], "setting"]) == {best}
        assert len(rows) == SUITE.num_seeds
    starts = runs.groupby(["task", "seed"])["initial_train_loss"]
    np.testing.assert_allclose(starts.min(), starts.max(), rtol=1e-6)  # all met the same problems
    assert set(runs.loc[runs["stage"] == "yardstick", "num_steps"]) == {SUITE.yardstick_steps}
    assert np.isnan(runs.loc[runs["optimizer"] == "learned", "learning_rate"]).all()


def test_scores_are_those_of_the_tables(finished):
    judged = finished.runs[finished.runs["stage"] == "judging"].set_index(["task", "num_steps", "optimizer", "seed"])
    scores = finished.scores.set_index(["task", "num_steps", "optimizer", "seed"])
    key = ("bowl", 12, "learned", 1)
    reference = judged.loc[("bowl", 12, "adamw", 1), "final_train_loss"]
    np.testing.assert_allclose(
        scores.loc[key, "log_ratio"], np.log(reference / judged.loc[key, "final_train_loss"]), rtol=1e-9
    )
    assert (scores.xs("adamw", level="optimizer")["log_ratio"] == 0).all()
    curve = finished.curves.query("task == 'bowl' and num_steps == 12 and optimizer == 'learned' and seed == 1")
    hit = curve.loc[curve["smoothed"] <= scores.loc[key, "target"], "step"]
    assert scores.loc[key, "steps_to_target"] == (hit.min() if len(hit) else np.inf)
    assert scores["speed_up"].between(1 / 12, SUITE.yardstick_steps / 8).all()
    times = times_to_target(finished.scores, 12)
    assert times.index[0] == "learned"
    assert set(finished.profiles["optimizer"]) == set(times.index)


def test_the_summary_has_what_is_quoted(finished):
    described = json.loads((finished.directory / "suite.json").read_text())
    assert described == json.loads(json.dumps(finished.described))
    assert described["status"] == "finished"
    assert described["horizons"]["8"]["adamw"]["log_ratio"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert described["costs"]["adamw"]["flops_per_step"] == 1.0
    assert described["tasks"]["bowl"]["12"]["learned"]["learning_rate"] is None
    assert len(suite_table(described, 8).rows) == 4
    assert "tasks" in suite_verdict(described, 12)


def test_a_stopped_suite_goes_on_and_another_is_refused(finished, monkeypatch):
    missing = finished.directory / "parts" / "valley" / "adamw" / "costs.parquet"
    missing.unlink()
    trained = []
    run = SideBySide.run
    monkeypatch.setattr(SideBySide, "run", lambda self, *args: trained.append(self.rule) or run(self, *args))
    theta = RULE.init(jax.random.key(0))
    again = evaluate_suite(RULE, theta, SUITE, finished.directory, IDENTITY)
    assert set(trained) == {BASELINES["adamw"]}
    assert again["horizons"] == finished.described["horizons"]
    with pytest.raises(HeuraxError, match="belongs to another evaluation"):
        evaluate_suite(RULE, theta, SUITE, finished.directory, {"artifact": "other"})
    missing.write_text("cut short")
    with pytest.raises(HeuraxError, match=r"costs\.parquet is damaged"):
        evaluate_suite(RULE, theta, SUITE, finished.directory, IDENTITY)


def test_speed_up_of_the_yardstick_itself_is_one():
    """Adam at its only rate, constant: as far as it gets in the steps that it took."""
    suite = Suite(num_steps=(10,), learning_rates=(0.1,), yardstick_steps=10, num_points=5)
    run = {"task": "mlp_digits", "num_steps": 10, "optimizer": "adam", "seed": 0, "setting": 0, "learning_rate": 0.1}
    losses = [1.0, 0.8, 0.6, 0.4, 0.2]
    curve = pd.DataFrame({"step": [2, 4, 6, 8, 10], "loss": losses, "smoothed": losses}).assign(**run)
    curves = pd.concat([curve.assign(stage=s, optimizer=o) for s, o in [("yardstick", "adam"), ("judging", "adamw")]])
    final = {f"final_{split}_loss": 0.2 for split in ("train", "validation", "test")}
    ends = {"initial_train_loss": 2.0, "smoothed_train_loss": 0.2, "area_under_log_curve": 0.0, "diverged": False}
    runs = pd.DataFrame([{**run, **final, **ends, "optimizer": "adamw", "stage": "judging", "chosen": True}])
    score = score_table(suite, runs, curves).iloc[0]
    assert score["speed_up"] == 1.0
    assert (score["target"], score["steps_to_target"]) == (0.6, 6)  # by three quarters of ten steps


def test_trainings_side_by_side_are_those_of_the_inner_loop():
    """A learned rule at half its step size, against `SupervisedTraining` step by step; the horizon is dynamic."""
    family, rule = Quadratic(dimension=3, noise=0.1), Celo2(learning_rate=0.1, hidden_size=2)
    problem = Problem(family, seed=0, lanes=2, num_points=3)
    side_by_side = SideBySide(problem, AtRate(rule, 6), 6)
    theta = jax.device_get(side_by_side.rule.init(jax.random.key(0)) | {"learning_rate": jnp.float32(0.05)})
    trainings, seconds = side_by_side.run([theta] * 3, [0, 1, 1], 6)
    assert seconds > 0
    np.testing.assert_array_equal(trainings.loss[1], trainings.loss[2])

    half = Celo2(learning_rate=0.05, hidden_size=2)
    inner = SupervisedTraining(half, family, 6, loss_cap=float("inf"))
    key_begin, key_steps = problem.keys(jnp.int32(1))
    state, losses = inner.init(theta["theta"], key_begin), []
    step = jax.jit(inner.step)
    for i in range(6):
        state, result = step(theta["theta"], state, jax.random.fold_in(key_steps, i))
        losses.append(result.loss)
    np.testing.assert_allclose(trainings.loss[1], np.reshape(losses, (3, 2)).mean(axis=1), rtol=1e-5)
    weights = 0.95 ** np.arange(5, -1, -1)
    np.testing.assert_allclose(trainings.smoothed[1, -1], weights @ np.array(losses) / weights.sum(), rtol=1e-5)
    np.testing.assert_allclose(trainings.final["test"][1], inner.evaluate(state, "test"), rtol=1e-5)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_are_traced_in_all_their_hyper_parameters(name):
    """They step on matrices and vectors, and every value that a search samples is one of `theta`."""
    baseline = BASELINES[name]
    theta = baseline.init(jax.random.key(0))
    params = {"w": jnp.ones((3, 2)), "b": jnp.zeros((2,))}

    def two_steps(theta):
        optimizer, p = baseline.optimizer(theta, 2), params
        state = optimizer.init(p)
        for _ in range(2):
            updates, state = optimizer.update(jax.tree.map(jnp.cos, p), state, p)
            p = jax.tree.map(jnp.add, p, updates)
        return p if baseline.params_fn is None else baseline.params_fn(state, p)

    moved = jax.eval_shape(two_steps, theta)
    assert jax.tree.map(jnp.shape, moved) == jax.tree.map(jnp.shape, params)
    assert set(baseline.space) <= theta.keys()
    for setting in sample_settings(baseline, 20, seed=1):
        assert all(low <= setting[key] <= high for key, (low, high) in baseline.space.items())


def test_the_schedule_rises_and_falls():
    setting = {"learning_rate": 2.0, "warmup": 0.2, "decay": 1.0, "num_steps": 10.0}
    rates = [float(learning_rate_at(jnp.int32(t), setting)) for t in (0, 1, 2, 6, 10)]
    np.testing.assert_allclose(rates, [1.0, 2.0, 2.0, 1.0, 0.0], atol=1e-6)
    assert float(learning_rate_at(jnp.int32(9), {**setting, "decay": 0.0})) == 2.0
    assert point_ends(7, 3).tolist() == [3, 5, 7]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tasks": ("mlp_digit",)}, "no fixed task.*mlp_digits"),
        ({"tasks": ()}, "at least one task"),
        ({"own_tasks": {"mlp_digits": Quadratic()}}, "names of their own"),
        ({"baselines": ("adam", "adamv")}, "which is none.*adam"),
        ({"baselines": ("adam",)}, "must include adamw"),
        ({"searches": ("sgd",)}, "no space to search"),
        ({"num_steps": (200, 100)}, "must ascend"),
        ({"num_steps": (50,)}, "num_points"),
        ({"yardstick_steps": 100}, "yardstick_steps"),
        ({"learning_rates": (0.1, 0.01)}, "ascend"),
        ({"schedule": "linear"}, "cosine or constant"),
        ({"warmup": 1.0}, "warmup"),
        ({"num_seeds": 1}, "num_seeds must be >= 2"),
        ({"num_points": 1}, "num_points must be >= 2"),
        ({"confidence": 1.0}, "confidence"),
        ({"num_resamples": 10}, "num_resamples"),
    ],
)
def test_values_out_of_range_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Suite(**fields)


def test_suites_are_found_by_name_and_by_file(tmp_path):
    assert "small" in suites()
    (tmp_path / "mine.yaml").write_text("tasks: [mlp_iris]\n")
    assert find_suite(str(tmp_path / "mine.yaml")).name == "mine.yaml"
    with pytest.raises(HeuraxError, match=r"no suite 'smal'.*small"):
        find_suite("smal")


@pytest.fixture
def refused(tmp_path, capsys, monkeypatch):
    """What the command line says when it refuses, in one line."""
    monkeypatch.chdir(tmp_path)
    artifacts.save("rule", Artifact(RULE, RULE.init(jax.random.key(0))))
    artifacts.save("number", Artifact(Scalar(), Scalar().init(jax.random.key(0))))

    def run(*arguments):
        assert main(["evaluate", *arguments]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    return run


def test_requests_that_cannot_be_met_are_refused_in_one_line(refused):
    assert "no suite 'smal'" in refused("rule", "--suite", "smal")
    assert "is not a learned optimizer" in refused("number", "--suite", "small")
    assert "the zoo has" in refused("zoo:nothing", "--suite", "small")
    assert "there is no artifact at nowhere" in refused("nowhere", "--suite", "small")
    assert "num_seeds must be >= 2" in refused("rule", "--suite", "small", "--num_seeds", "1")


def test_the_configs_of_all_suites_are_valid():
    from heurax.config import read_config

    for path in suites().values():
        read_config(Suite, path)


def test_an_optax_optimizer_as_learned_rule_is_taken_as_it_is():
    assert OptaxOptimizer("adam").step_size is None
    assert Celo2(learning_rate=0.5).step_size == 0.5
