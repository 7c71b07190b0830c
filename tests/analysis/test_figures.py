"""Figures from small tables: what is drawn is what is in them, and what cannot be drawn is refused."""

import numpy as np
import pandas as pd
import pytest

from directories import make_evaluation, make_sweep
from heurax.analysis import (
    curve_bands,
    curves_figure,
    importance_figure,
    interval_figure,
    interval_table,
    load_evaluation,
    load_sweep,
    parallel_figure,
    profile_figure,
    profile_table,
    response_figure,
    schedule_figure,
    schedule_table,
    step_size_figure,
    thinned,
    training_figure,
    trials_figure,
    tuning_figure,
    update_figure,
)
from heurax.analysis.style import COLORS
from heurax.evaluation import performance_profile
from heurax.outer import Descent, Evolution, FullGradient, OuterOptimizer, PersistentES, SigmaSchedule


def lines(figure):
    """What every line that has a name shows."""
    return {line.get_label(): line for axes in figure.axes for line in axes.lines if line.get_label()[0] != "_"}


def drawn(figure, path):
    figure.savefig(path / "figure.svg")
    return (path / "figure.svg").stat().st_size > 1000


def test_bands_are_those_of_the_bootstrap():
    values = np.array([0.0, 1.0, 2.0, 7.0])
    frame = pd.DataFrame({"step": 1, "seed": range(4), "loss": values})
    row = curve_bands(pd.concat([frame, pd.DataFrame({"step": [2, 2], "loss": [np.nan, 3.0]})]), "loss")
    assert row[["step", "mean", "num_seeds"]].values.tolist() == [[1, 2.5, 4], [2, 3.0, 1]]
    index = np.random.default_rng(0).integers(4, size=(1000, 4))
    np.testing.assert_allclose(
        row.loc[0, ["low", "high"]].astype(float), np.quantile(values[index].mean(1), [0.025, 0.975])
    )
    assert row.loc[1, ["low", "high"]].tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match=r"confidence must be in \(0, 1\), got 1"):
        curve_bands(frame, "loss", confidence=1.0)


def test_long_curves_become_means_of_stretches():
    frame = pd.DataFrame({"run": np.repeat(["a", "b"], 1000), "step": np.tile(np.arange(1, 1001), 2), "loss": 1.0})
    frame.loc[frame["run"] == "b", "loss"] = np.arange(1000.0)
    short = thinned(frame, points=10, by=("run",))
    assert short["run"].tolist() == ["a"] * 10 + ["b"] * 10
    assert short["step"].tolist() == list(range(100, 1001, 100)) * 2
    assert short.loc[short["run"] == "b", "loss"].tolist() == [49.5 + 100 * i for i in range(10)]
    assert thinned(frame, points=1000) is frame
    with pytest.raises(ValueError, match="points must be >= 1, got 0"):
        thinned(frame, points=0)


def test_meta_training_of_seeds_is_their_mean_with_a_band(tmp_path):
    table = pd.DataFrame(
        [
            (estimator, f"{estimator}{seed}", seed, step, (seed + 1) * scale / step)
            for estimator, scale in (("PersistentES", 1.0), ("FullES", 2.0))
            for seed in range(3)
            for step in (10, 20)
        ],
        columns=["estimator", "run", "seed", "step", "meta_loss"],
    )
    figure = training_figure(table, group="estimator")
    np.testing.assert_allclose(lines(figure)["PersistentES"].get_ydata(), [0.2, 0.1])
    np.testing.assert_allclose(lines(figure)["FullES"].get_ydata(), [0.4, 0.2])
    assert len(figure.axes[0].collections) == 2
    assert drawn(figure, tmp_path)
    with pytest.raises(ValueError, match="must have a column 'sigma'"):
        training_figure(table, group="sigma")


def test_meta_training_of_one_run_is_smoothed_where_there_is_something_to_smooth(tmp_path):
    table = pd.DataFrame({"step": np.arange(100), "meta_loss": 10.0 ** -np.linspace(0, 3, 100)})
    figure = training_figure(table)
    assert len(figure.axes[0].lines) == 2
    assert figure.axes[0].get_yscale() == "log"
    assert drawn(figure, tmp_path)
    assert len(training_figure(table.head(5)).axes[0].lines) == 1


def test_a_run_that_was_never_finite_says_so(tmp_path):
    figure = training_figure(pd.DataFrame({"step": [1, 2], "meta_loss": [np.nan, np.inf]}))
    assert figure.axes[0].texts[0].get_text() == "no finite values"
    assert drawn(figure, tmp_path)


def test_an_evaluation_is_drawn_as_it_was_measured(tmp_path):
    evaluation = load_evaluation(make_evaluation(tmp_path / "evaluation", baseline="$adam$"))
    figure = curves_figure(evaluation.curves)
    assert list(lines(figure)) == ["learned", "$adam$"]
    assert lines(figure)["learned"].get_color() == COLORS[0]
    assert lines(figure)["$adam$"].get_ydata().tolist() == pytest.approx([2, 1, 2 / 3])
    assert drawn(figure, tmp_path)
    figure = tuning_figure(evaluation.finals)
    assert lines(figure)["$adam$"].get_xdata().tolist() == [0.01, 0.1]
    assert lines(figure)["$adam$"].get_ydata().tolist() == [0.4, 3.0]
    assert lines(figure)["learned"].get_ydata() == pytest.approx([0.2, 0.2])
    assert drawn(figure, tmp_path)
    with pytest.raises(ValueError, match="must have a column 'low'"):
        curves_figure(evaluation.curves.drop(columns="low"))


def test_a_sweep_is_drawn_from_its_trials(tmp_path):
    sweep = load_sweep(make_sweep(tmp_path / "sweep"))
    fields = sweep.table.fields
    figure = parallel_figure(sweep.trials, fields, "meta loss")
    best = [line for line in figure.axes[0].lines if line.get_color() == COLORS[0]]
    assert [line.get_ydata().tolist() for line in best] == [[0.0, 0.0, 0.0]]  # 0.001, PersistentES, the lowest loss
    assert drawn(figure, tmp_path)
    highest = parallel_figure(sweep.trials, fields, minimizes=False)
    assert [line.get_ydata()[-1] for line in highest.axes[0].lines if line.get_color() == COLORS[0]] == [1.0]

    figure = response_figure(sweep.trials, fields[0])
    assert figure.axes[0].get_xscale() == "log"
    np.testing.assert_allclose(lines(figure)["mean"].get_ydata(), [(0.1 + 0.2 + 0.5 + 0.6) / 4, (0.3 + 0.4 + 0.7) / 3])
    figure = response_figure(sweep.trials, fields[1])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["PersistentES", "FullES"]
    assert drawn(figure, tmp_path)

    figure = trials_figure(sweep.metrics, best_point=0)
    np.testing.assert_allclose(lines(figure)["best point"].get_ydata(), [2.0, 1.0, 0.15])
    assert drawn(figure, tmp_path)
    bars = importance_figure(sweep.table.importance or {}).axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.25, 0.75]


def test_what_cannot_be_drawn_of_a_sweep_is_refused():
    trials = pd.DataFrame({"a": [1, 2], "metric": [np.nan, np.nan]})
    with pytest.raises(ValueError, match="trials must have at least one with a metric"):
        parallel_figure(trials, ["a"])
    with pytest.raises(ValueError, match="fields must name at least one"):
        parallel_figure(trials.assign(metric=1.0), [])
    with pytest.raises(ValueError, match="field must be one of the trials' columns, got 'b'"):
        response_figure(trials.assign(metric=1.0), "b")
    with pytest.raises(ValueError, match="importance must hold at least one field"):
        importance_figure({})
    with pytest.raises(ValueError, match="must have a column 'run'"):
        trials_figure(trials, 0)


def test_profiles_are_staircases(tmp_path):
    profile = performance_profile(np.array([[1.0, 1.0], [2.0, 3.0]]))
    figure = profile_figure(profile_table(profile, ["learned", "adam"]))
    assert lines(figure)["adam"].get_ydata().tolist() == [0.0, 0.5, 1.0, 1.0]
    assert lines(figure)["adam"].get_drawstyle() == "steps-post"
    assert drawn(figure, tmp_path)
    with pytest.raises(ValueError, match="names must be as many as the profile has optimizers, 2"):
        profile_table(profile, ["learned"])


def test_intervals_stand_in_order(tmp_path):
    rows = {name: {"score": {"mean": mean, "low": mean - 1, "high": mean + 2}} for name, mean in (("a", 3), ("$b$", 1))}
    figure = interval_figure(interval_table(rows, "score"), "score", highlight="a")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["$b$", "a"]
    assert [line.get_xdata().tolist() for line in figure.axes[0].lines[1::2]] == [[0, 3], [2, 5]]
    assert [line.get_color() for line in figure.axes[0].lines[2::2]] == [COLORS[1], COLORS[0]]
    assert drawn(figure, tmp_path)
    with pytest.raises(ValueError, match="rows must be at least one, got none"):
        interval_figure(interval_table({}, "score"), "score")


def test_schedules_are_those_of_the_outer_loop(tmp_path):
    estimator = PersistentES(sigma=0.1, sigma_schedule=SigmaSchedule("linear", final_fraction=0.5, num_steps=40))
    outer = Descent(estimator, OuterOptimizer(learning_rate=1.0, warmup_steps=10, final_fraction=0.2), num_steps=40)
    table = schedule_table(outer).set_index("step")
    np.testing.assert_allclose(table.loc[[0, 5, 10, 25, 40], "learning_rate"], [0, 0.5, 1.0, 0.6, 0.2], rtol=1e-6)
    np.testing.assert_allclose(table.loc[[0, 20, 40], "sigma"], [0.1, 0.075, 0.05], rtol=1e-6)
    assert len(schedule_figure(table.reset_index()).axes) == 2
    assert drawn(schedule_figure(table.reset_index()), tmp_path)
    assert list(schedule_table(Descent(FullGradient(), num_steps=100))) == ["step", "learning_rate"]
    nothing = schedule_table(Evolution())
    assert list(nothing) == ["step"]
    with pytest.raises(ValueError, match="must have a column beside step"):
        schedule_figure(nothing)
    with pytest.raises(ValueError, match="num_points must be >= 2, got 1"):
        schedule_table(outer, num_points=1)


def test_figures_of_nothing_are_refused():
    for make in (update_figure, step_size_figure):
        with pytest.raises(ValueError, match="tables must hold at least one table, got none"):
            make({})
