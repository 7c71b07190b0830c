"""Running a suite: task by task, optimizer by optimizer, each kept on disk as soon as it is done."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from rich.console import Console

from heurax.errors import HeuraxError
from heurax.evaluation.baselines import BASELINES, AtRate, Baseline, sample_settings
from heurax.evaluation.scores import area_under_log_curve
from heurax.evaluation.side_by_side import SPLITS, Costs, Problem, SideBySide, Trainings, point_ends
from heurax.evaluation.suite import Suite
from heurax.evaluation.tables import COSTS, CURVES, RUNS, read_table, write_table
from heurax.rules import LearnedOptimizer, Rule

__all__ = ["LEARNED", "PARTS", "SEARCH", "run_suite"]

LEARNED = "learned"
SEARCH = "_search"
PARTS = "parts"
FIRST_TUNING_SEED = 1_000_000
"""Seeds of tuning are numbered from here, those of judging from 0."""


@dataclass(frozen=True)
class Contestant:
    """An optimizer with the settings that it is tuned over.

    Attributes:
        name: in the tables.
        rule: None for the learned one, which has a rule for every horizon.
        settings: values of its hyper-parameters; a learned rule without a step size has one empty setting.
    """

    name: str
    rule: Baseline | None
    settings: tuple[dict[str, float], ...]


def run_suite(rule: Rule, theta: Any, suite: Suite, directory: Path, console: Console | None = None) -> None:
    """Train with every optimizer of a suite on every task of it; what a directory holds already is not done again.

    Writes `parts/TASK/OPTIMIZER/{runs,curves,costs}.parquet`, then the whole tables into `directory`.

    Args:
        rule: a learned optimizer.
        theta: its meta-parameters.
        suite: the suite.
        directory: of the evaluation.
        console: where progress is shown; standard error if None.

    Raises:
        HeuraxError: the rule is not a learned optimizer; a part that is there is damaged; the disk is full.
    """
    if not isinstance(rule, LearnedOptimizer):
        raise HeuraxError(f"{type(rule).__name__} is not a learned optimizer, so it cannot be evaluated as one")
    console = console or Console(stderr=True)
    contestants = _contestants(rule, suite)
    total = len(suite.families) * len(contestants)
    started, done, new = time.monotonic(), 0, 0
    for task, family in suite.families.items():
        problem = Problem(family, suite.seed, suite.lanes, suite.num_points)
        programs: dict[str, SideBySide] = {}  # a search has the program of its grid
        for contestant in contestants:
            part = directory / PARTS / task / contestant.name
            if not (part / f"{COSTS}.parquet").is_file():
                with console.status(f"{task}: {contestant.name}"):
                    runs, curves, costs = _train(rule, theta, suite, problem, contestant, programs)
                for table, rows in ((RUNS, runs), (CURVES, curves), (COSTS, costs)):  # costs last: they end a part
                    write_table(part, table, rows.assign(task=task, optimizer=contestant.name))
                new += 1
            done += 1
            if new:
                left = (time.monotonic() - started) / new * (total - done)
                console.print(
                    f"{done}/{total}  {task}: {contestant.name}  {left:,.0f} s left", highlight=False, soft_wrap=True
                )
    for table in (RUNS, CURVES, COSTS):
        parts = [
            read_table(directory / PARTS / task / contestant.name, table)
            for task in suite.families
            for contestant in contestants
        ]
        write_table(directory, table, pd.concat(parts, ignore_index=True))


def _contestants(rule: LearnedOptimizer, suite: Suite) -> list[Contestant]:
    grid = suite.learning_rates if rule.step_size is not None else ()
    learned = tuple({"learning_rate": rate} for rate in grid) or ({},)
    contestants = [Contestant(LEARNED, None, learned)]
    for name in suite.baselines:
        rates = [rate * BASELINES[name].rate_factor for rate in suite.learning_rates]
        contestants.append(Contestant(name, BASELINES[name], tuple({"learning_rate": rate} for rate in rates)))
    for name in suite.searches:
        settings = sample_settings(BASELINES[name], suite.num_trials, suite.seed)
        contestants.append(Contestant(name + SEARCH, BASELINES[name], tuple(settings)))
    return contestants


def _train(
    rule: LearnedOptimizer,
    theta: Any,
    suite: Suite,
    problem: Problem,
    contestant: Contestant,
    programs: dict[str, SideBySide],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """All trainings of one optimizer on one task: rows of runs, curves and costs."""
    tuning = [FIRST_TUNING_SEED + i for i in range(suite.num_tuning_seeds)]
    judging = list(range(suite.num_seeds))
    runs: list[pd.DataFrame] = []
    curves: list[pd.DataFrame] = []
    steps = seconds = 0.0
    costs: list[Costs] = []

    def train(num_steps: int, stage: str, chosen: list[int], seeds: list[int], *, constant: bool = False) -> Trainings:
        nonlocal steps, seconds
        side_by_side = _program(rule, suite, problem, contestant, num_steps, programs)
        costs.append(side_by_side.compiled[1])
        places = [(place, seed) for place in chosen for seed in seeds]
        settings = [_theta(side_by_side.rule, theta, suite, contestant, p, num_steps, constant) for p, _ in places]
        trainings, elapsed = side_by_side.run(settings, [seed for _, seed in places], num_steps)
        steps, seconds = steps + num_steps * len(places), seconds + elapsed
        described = _describe(contestant, places).assign(num_steps=num_steps, stage=stage)
        runs.append(_run_rows(trainings, described))
        if stage != "tuning":
            curves.append(_curve_rows(trainings, described, num_steps))
        return trainings

    everything = list(range(len(contestant.settings)))
    for num_steps in suite.num_steps:
        tuned = train(num_steps, "tuning", everything, tuning)
        best = int(tuned.final["train"].reshape(len(everything), -1).mean(axis=1).argmin())
        runs[-1]["chosen"] = runs[-1]["setting"] == best
        train(num_steps, "judging", [best], judging)
        runs[-1]["chosen"] = True
    if contestant.name == "adam" and suite.yardstick_steps:
        train(suite.yardstick_steps, "yardstick", everything, tuning, constant=True)
        runs[-1]["chosen"] = False
    described = {
        **costs[0]._asdict(),
        "compile_seconds": sum({id(cost): cost.compile_seconds for cost in costs}.values()),
        "seconds_per_step": seconds / steps,
        "lanes": problem.width,
    }
    return pd.concat(runs, ignore_index=True), pd.concat(curves, ignore_index=True), pd.DataFrame([described])


def _program(
    rule: LearnedOptimizer,
    suite: Suite,
    problem: Problem,
    contestant: Contestant,
    num_steps: int,
    programs: dict[str, SideBySide],
) -> SideBySide:
    """One for all horizons; but a rule that has no step size is told each, and so has one for each."""
    told = num_steps if contestant.rule is None and rule.step_size is None else suite.num_steps[-1]
    name = f"{LEARNED} {told}" if contestant.rule is None else contestant.rule.name
    if name not in programs:
        learned = rule if rule.step_size is None else AtRate(rule, told)
        programs[name] = SideBySide(problem, contestant.rule or learned, told)
    return programs[name]


def _theta(
    trained: LearnedOptimizer,
    theta: Any,
    suite: Suite,
    contestant: Contestant,
    place: int,
    num_steps: int,
    constant: bool,
) -> Any:
    """What the program of an optimizer takes for one of its settings."""
    setting = contestant.settings[place]
    if not setting:
        return theta
    follows = contestant.rule is None or contestant.rule.schedule == "suite"
    values = {
        **({} if contestant.rule is None else contestant.rule.defaults),
        **setting,
        "warmup": 0.0 if constant else suite.warmup,
        "decay": float(suite.schedule == "cosine" and follows and not constant),
        "num_steps": float(num_steps),
    }
    described = {name: np.float32(value) for name, value in values.items()}
    return described | {"theta": theta} if isinstance(trained, AtRate) else described


def _describe(contestant: Contestant, places: list[tuple[int, int]]) -> pd.DataFrame:
    rows = []
    for place, seed in places:
        others = dict(contestant.settings[place])
        rate = others.pop("learning_rate", np.nan)
        rows.append({"setting": place, "learning_rate": rate, "hyper_parameters": json.dumps(others), "seed": seed})
    return pd.DataFrame(rows)


def _run_rows(trainings: Trainings, described: pd.DataFrame) -> pd.DataFrame:
    return described.assign(
        initial_train_loss=trainings.initial,
        **{f"final_{split}_loss": trainings.final[split] for split in SPLITS},
        smoothed_train_loss=trainings.smoothed[:, -1],
        area_under_log_curve=area_under_log_curve(trainings.loss),
        diverged=trainings.diverged,
    )


def _curve_rows(trainings: Trainings, described: pd.DataFrame, num_steps: int) -> pd.DataFrame:
    """One row per training and point."""
    num_points = trainings.loss.shape[1]
    ends = jax.device_get(point_ends(num_steps, num_points))
    rows = described.loc[described.index.repeat(num_points)].reset_index(drop=True)
    return rows.assign(
        step=np.tile(ends, len(described)), loss=trainings.loss.ravel(), smoothed=trainings.smoothed.ravel()
    )
