"""Searches: what they try, and that Optuna's study goes on where it was."""

import math

import numpy as np
import pytest

from heurax.sweeps import Choice, Grid, Integer, Listed, ListedTrial, LogUniform, Metric, Optuna, Random, Uniform

SPACE = {
    "a": Uniform(-1.0, 1.0),
    "b": LogUniform(1e-4, 1e-1),
    "c": Integer(1, 64, log=True),
    "d": Choice([[8, 8], "text", 3]),
    "e": Integer(0, 3),
}


def test_grids_and_lists():
    grid = Grid({"a": [1, 2], "b": ["x", "y", "z"]})
    assert grid.num_points == 6
    assert [(p.index, p.values["a"], p.values["b"]) for p in grid.points()][:4] == [
        (0, 1, "x"),
        (1, 1, "y"),
        (2, 1, "z"),
        (3, 2, "x"),
    ]
    assert [point.values for point in Grid().points()] == [{}], "the base config alone"
    listed = Listed([ListedTrial({"a": 1}, "one"), ListedTrial({"b": 2, "a": 3})])
    assert listed.fields == ["a", "b"]
    assert [point.name for point in listed.points()] == ["one", ""]


def test_random_points_depend_on_their_number_alone():
    few, many = Random(SPACE, num_points=3), Random(SPACE, num_points=400)
    assert many.points()[:3] == few.points()
    assert Random(SPACE, num_points=3, seed=1).points() != few.points()
    values = {name: [point.values[name] for point in many.points()] for name in SPACE}
    assert all(-1 <= a <= 1 for a in values["a"])
    logs = np.log10(values["b"])
    assert logs.min() >= -4
    assert logs.max() <= -1
    # a uniform on [-4, -1] has mean -2.5; of 400, its mean is within 4 standard errors of 3 / sqrt(12 * 400)
    assert abs(logs.mean() + 2.5) < 4 * 3 / math.sqrt(12 * 400)
    assert set(values["c"]) <= set(range(1, 65))
    assert 1 in values["c"]
    # half of the log range [0.5, 64.5) lies below its geometric mean, 5.7
    assert 0.4 < np.mean(np.array(values["c"]) <= 5) < 0.6
    assert {str(d) for d in values["d"]} == {"[8, 8]", "text", "3"}
    assert set(values["e"]) == {0, 1, 2, 3}


def test_examples_show_every_end_and_choice():
    examples = Random(SPACE, num_points=1).examples()
    for name, space in SPACE.items():
        assert all(any(example[name] == value for example in examples) for value in space.examples())


@pytest.fixture
def search():
    return Optuna(SPACE, num_points=6, sampler_options={"seed": 0}, first=[{"a": 0.5, "d": [8, 8], "e": 2}])


def test_optuna_goes_on_where_it_was(search, tmp_path):
    """Points of an earlier process come first, with their values; told twice, a point counts once."""
    explorer = search.open(tmp_path, Metric())
    points = [explorer.ask() for _ in range(3)]
    assert [point.index for point in points] == [0, 1, 2]
    first = points[0].values
    assert (first["a"], first["d"], first["e"]) == (0.5, [8, 8], 2), "a list is given back as it was"
    assert list(first) == list(SPACE), "in the order of the space"
    explorer.tell(points[0], 1.0)
    explorer.tell(points[1], None)

    again = search.open(tmp_path, Metric())
    assert [again.ask() for _ in range(3)] == points
    again.tell(points[0], 2.0)
    again.tell(points[2], 3.0)
    assert [again.ask().index for _ in range(3)] == [3, 4, 5]
    assert again.ask() is None
    import optuna

    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / 'optuna.db'}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", "COMPLETE", *["RUNNING"] * 3]
    assert study.trials[0].value == 1.0


def test_optuna_prunes_what_is_worse_than_the_median(tmp_path):
    search = Optuna(
        {"a": Uniform(0.0, 1.0)},
        num_points=9,
        pruner="MedianPruner",
        pruner_options={"n_startup_trials": 2, "n_warmup_steps": 10},
    )
    assert search.prunes
    explorer = search.open(tmp_path, Metric())
    for value in (1.0, 2.0):
        point = explorer.ask()
        assert not explorer.should_prune(point, 10, value)
        explorer.tell(point, value)
    worse, better = explorer.ask(), explorer.ask()
    assert not explorer.should_prune(worse, 5, 9.0), "too early"
    assert explorer.should_prune(worse, 10, 9.0)
    explorer.prune(worse)
    assert not explorer.should_prune(better, 10, 0.5)
    assert not search.open(tmp_path, Metric()).should_prune(better, 10, 9.0), "seen by an earlier process"
