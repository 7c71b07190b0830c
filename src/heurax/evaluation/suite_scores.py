"""What the trainings of a suite are worth: scores per seed, profiles, and a summary with intervals."""

from typing import Any

import numpy as np
import pandas as pd

from heurax.evaluation.run_suite import LEARNED
from heurax.evaluation.scores import StepsOfBaseline, performance_profile, profile_score, speed_up, steps_of_baseline
from heurax.evaluation.statistics import Interval, bootstrap_mean, stratified_bootstrap
from heurax.evaluation.suite import Suite

__all__ = ["profile_table", "score_table", "suite_summary", "times_to_target"]

Frame = Any
"""A `pandas.DataFrame`, of whose columns a type checker knows too little to help."""

FLOOR = 1e-6
"""Losses count as this fraction of the initial one at least, in ratios."""

BUDGET = 0.75
"""Fraction of the steps after which the reference's loss is the target."""

RUN = ["task", "num_steps", "optimizer", "seed"]


def score_table(suite: Suite, runs: Frame, curves: Frame) -> Frame:
    """The table `scores`: one row per task, horizon, optimizer and judging seed.

    The target of a task is the lowest smoothed training loss, averaged over seeds, that the tuned reference has after
    three quarters of the steps, as AlgoPerf takes its targets from a reference run of three quarters of the budget.

    Args:
        suite: what was run.
        runs: the table `runs`.
        curves: the table `curves`.
    """
    judged = runs[runs["stage"] == "judging"]
    reference = judged[judged["optimizer"] == suite.reference]
    finals = [f"final_{split}_loss" for split in ("train", "validation")]
    scores = judged.merge(
        reference[["task", "num_steps", "seed", *finals]], on=["task", "num_steps", "seed"], suffixes=("", "_reference")
    )
    floor = FLOOR * scores["initial_train_loss"]
    for name, column in zip(("log_ratio", "log_ratio_validation"), finals, strict=True):
        scores[name] = np.log(np.maximum(scores[f"{column}_reference"], floor) / np.maximum(scores[column], floor))
    yardsticks = {task: _yardstick(rows) for task, rows in curves[curves["stage"] == "yardstick"].groupby("task")}
    scores["speed_up"] = [
        speed_up(np.asarray(row.smoothed_train_loss), int(row.num_steps), yardsticks[row.task]).item()
        if row.task in yardsticks
        else np.nan
        for row in scores.itertuples()
    ]
    reached = _steps_to_target(suite, curves[curves["stage"] == "judging"])
    return scores.merge(reached, on=RUN)


def _yardstick(rows: Frame) -> StepsOfBaseline:
    """Adam's steps to each loss, from the smoothed curves of all its learning rates and seeds on one task."""
    table = rows.pivot_table(index=["setting", "seed"], columns="step", values="smoothed")
    settings, seeds = (table.index.get_level_values(name).nunique() for name in ("setting", "seed"))
    envelope = steps_of_baseline(table.to_numpy().reshape(settings, seeds, -1), decay=0.0, num_knots=table.shape[1])
    return StepsOfBaseline(table.columns.to_numpy(np.float64), envelope.loss)


def _steps_to_target(suite: Suite, curves: Frame) -> Frame:
    reference = curves[curves["optimizer"] == suite.reference]
    mean = reference.groupby(["task", "num_steps", "step"], as_index=False)["smoothed"].mean()
    early = mean[mean["step"] <= BUDGET * mean["num_steps"]]
    target = (
        early.groupby(["task", "num_steps"], as_index=False)["smoothed"].min().rename(columns={"smoothed": "target"})
    )
    beside = curves.merge(target, on=["task", "num_steps"])
    beside["steps_to_target"] = beside["step"].where(beside["smoothed"] <= beside["target"], np.inf)
    return beside.groupby(RUN, as_index=False).agg(
        target=("target", "first"), steps_to_target=("steps_to_target", "min")
    )


def times_to_target(scores: Frame, num_steps: int) -> Frame:
    """Median steps to the target over seeds, a row per optimizer and a column per task, the learned one first."""
    at_horizon = scores[scores["num_steps"] == num_steps]
    times = at_horizon.groupby(["optimizer", "task"])["steps_to_target"].median().unstack("task")
    return times.loc[[LEARNED, *(name for name in dict.fromkeys(scores["optimizer"]) if name != LEARNED)]]


def profile_table(suite: Suite, scores: Frame) -> Frame:
    """The table `profiles`: AlgoPerf's performance profiles of the steps to the targets, for every horizon."""
    tables = []
    for num_steps in suite.num_steps:
        times = times_to_target(scores, num_steps)
        profile = performance_profile(times.to_numpy())
        tables.append(
            pd.DataFrame(
                {
                    "num_steps": num_steps,
                    "optimizer": np.repeat(times.index.to_numpy(), len(profile.tau)),
                    "tau": np.tile(profile.tau, len(times)),
                    "fraction": profile.fraction.ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def suite_summary(suite: Suite, runs: Frame, scores: Frame, costs: Frame) -> dict[str, Any]:
    """Everything that is quoted, as JSON.

    Returns:
        `horizons`: by number of steps and optimizer, over all tasks: interquartile means with stratified bootstrap
        intervals of `log_ratio`, `log_ratio_validation` and `speed_up` (of its logarithm), the `profile_score`, and on
        how many tasks the mean log-ratio is above 0. `tasks`: by task, number of steps and optimizer: final losses and
        log-ratio with bootstrap intervals over seeds, the learning rate that was chosen, and whether it is at the edge
        of the grid. `costs`: by optimizer, relative to the reference, means over tasks.
    """
    horizons: dict[str, Any] = {}
    for num_steps, rows in scores.groupby("num_steps", sort=False):
        times = times_to_target(scores, int(num_steps))
        profile = dict(zip(times.index, profile_score(times.to_numpy()), strict=True))
        horizons[str(num_steps)] = {
            name: {
                **{
                    score: _over_tasks(suite, each[score], each)._asdict()
                    for score in ("log_ratio", "log_ratio_validation")
                },
                "speed_up": _speed_up(suite, each),
                "profile_score": float(profile[name]),
                "tasks_better": int((each.groupby("task")["log_ratio"].mean() > 0).sum()),
                "num_tasks": each["task"].nunique(),
            }
            for name, each in rows.groupby("optimizer", sort=False)
        }
    return {
        "reference": suite.reference,
        "horizons": horizons,
        "tasks": _tasks(suite, runs, scores),
        "costs": _relative_costs(suite, costs),
    }


def _speed_up(suite: Suite, rows: Frame) -> dict[str, float] | None:
    if not suite.yardstick_steps:
        return None
    interval = _over_tasks(suite, np.log(rows["speed_up"]), rows)
    return {name: float(np.exp(x)) for name, x in interval._asdict().items()}


def _over_tasks(suite: Suite, values: Any, rows: Frame) -> Interval:
    """An interquartile mean over tasks and seeds."""
    table = rows.assign(value=values).pivot_table(index="seed", columns="task", values="value").to_numpy()
    return stratified_bootstrap(table, confidence=suite.confidence, num_resamples=suite.num_resamples)


def _tasks(suite: Suite, runs: Frame, scores: Frame) -> dict[str, Any]:
    judged = runs[runs["stage"] == "judging"].merge(scores[[*RUN, "log_ratio", "speed_up", "steps_to_target"]], on=RUN)
    num_settings = runs[runs["stage"] == "tuning"].groupby("optimizer")["setting"].max()
    described: dict[str, Any] = {}
    for (task, num_steps, name), rows in judged.groupby(["task", "num_steps", "optimizer"], sort=False):
        setting = int(rows["setting"].iloc[0])
        in_grid = name in suite.baselines or (name == LEARNED and num_settings[name] > 0)
        rate = float(rows["learning_rate"].iloc[0])
        described.setdefault(task, {}).setdefault(str(num_steps), {})[name] = {
            **{
                column: bootstrap_mean(rows[column].to_numpy(), suite.confidence, suite.num_resamples)._asdict()
                for column in ("final_train_loss", "final_validation_loss", "final_test_loss", "log_ratio")
            },
            "speed_up": float(np.exp(np.log(rows["speed_up"]).mean())) if suite.yardstick_steps else None,
            "seeds_at_target": int(np.isfinite(rows["steps_to_target"]).sum()),
            "learning_rate": rate if np.isfinite(rate) else None,
            "learning_rate_at_grid_edge": bool(in_grid and setting in (0, int(num_settings[name]))),
        }
    return described


def _relative_costs(suite: Suite, costs: Frame) -> dict[str, Any]:
    columns = ["flops_per_step", "seconds_per_step", "bytes_per_lifetime", "state_bytes_per_parameter"]
    reference = costs[costs["optimizer"] == suite.reference].set_index("task")[columns]
    relative: dict[str, Any] = {}
    for name, rows in costs.groupby("optimizer", sort=False):
        relative[str(name)] = (rows.set_index("task")[columns] / reference).mean().to_dict()
    return relative
