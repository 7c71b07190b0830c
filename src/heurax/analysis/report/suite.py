"""The report of a suite: a learned optimizer on many tasks."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from heurax.analysis.bands import curve_bands
from heurax.analysis.curves import curves_figure
from heurax.analysis.profiles import interval_figure, profile_figure
from heurax.analysis.report.page import Block, Code, Facts, Note, Page, Picture, Section, Table
from heurax.analysis.report.parts import command, configuration, interval
from heurax.analysis.suites import SuiteData, interval_table, load_suite
from heurax.evaluation.run_suite import LEARNED
from heurax.evaluation.suite_evaluation import judgement

__all__ = ["suite_page"]

RIVALS = 3
"""Baselines beside the learned optimizer and the reference in the figures of single tasks: the best ones."""


def suite_page(path: Path) -> Page:
    """Read the directory of a suite's evaluation as a report.

    Raises:
        HeuraxError: there is no finished suite, or a file of it is damaged.
    """
    suite = load_suite(path)
    longest = suite.horizons[-1]
    row = suite.summary["horizons"][str(longest)][LEARNED]
    facts = Facts(
        [
            (f"log loss ratio to {suite.reference}", row["log_ratio"]["mean"]),
            ("speed-up over Adam", row["speed_up"]["mean"] if row["speed_up"] else "not measured"),
            ("tasks better", f"{row['tasks_better']} of {row['num_tasks']}"),
            ("profile score", row["profile_score"]),
            ("inner steps", longest),
        ],
        large=True,
    )
    sections = [Section(f"After {steps:,} steps", _scores(suite, steps)) for steps in suite.horizons]
    sections += [
        Section("Task by task", _tasks(suite, longest)),
        Section("Costs", _costs(suite)),
        Section("How it was measured", _how(suite), folded=True),
        Section("Do it again", _again(suite), folded=True),
    ]
    return Page("Evaluation by a suite", path.resolve().name, _verdict(suite, longest), facts, sections)


def _verdict(suite: SuiteData, steps: int) -> str:
    row = suite.summary["horizons"][str(steps)][LEARNED]
    found = row["log_ratio"]
    return (
        f"After {steps:,} steps, the logarithm of tuned {suite.reference}'s final loss over the learned optimizer's is "
        f"{interval(found, '+.3f')}, better on {row['tasks_better']} of {row['num_tasks']} tasks: "
        f"{judgement(found, suite.reference)}."
    )


def _scores(suite: SuiteData, steps: int) -> list[Block]:
    rows = suite.summary["horizons"][str(steps)]
    label = f"log({suite.reference}'s final loss / its)"
    profiles: Any = suite.profiles[suite.profiles["num_steps"] == steps]
    ranking = sorted(rows.items(), key=lambda item: -item[1]["log_ratio"]["mean"])
    table = pd.DataFrame(
        [
            {
                "optimizer": name,
                "log loss ratio": interval(row["log_ratio"], "+.3f"),
                "of validation losses": interval(row["log_ratio_validation"], "+.3f"),
                "speed-up": interval(row["speed_up"], ".2f") if row["speed_up"] else "-",
                "profile score": row["profile_score"],
                "tasks better": row["tasks_better"],
            }
            for name, row in ranking
        ]
    )
    caption = "interquartile means over tasks and seeds, with bootstrap intervals"
    return [
        Note(_verdict(suite, steps)),
        Picture(
            f"How much lower than {suite.reference} each optimizer ends, to the right of the line: {caption}.",
            interval_figure(interval_table(rows, "log_ratio"), label, highlight=LEARNED),
        ),
        Picture(
            "Performance profile: the share of tasks on which an optimizer reaches the target within a multiple of the "
            "fastest one's steps.",
            profile_figure(profiles),
        ),
        Table(f"Scores: {caption}", table),
    ]


def _tasks(suite: SuiteData, steps: int) -> list[Block]:
    tasks = {task: rows[str(steps)] for task, rows in suite.summary["tasks"].items() if str(steps) in rows}
    learned = {task: rows[LEARNED] for task, rows in tasks.items()}
    label = f"log({suite.reference}'s final loss / learned)"
    table = pd.DataFrame([_task_row(suite, task, rows) for task, rows in tasks.items()])
    pictures = [
        Picture(
            f"{task}: training loss, means of the judging seeds with 95% bootstrap intervals.",
            _curves(suite, task, steps),
        )
        for task in tasks
    ]
    return [
        Picture(
            f"The learned optimizer on each task: how much lower than {suite.reference} it ends, means over seeds.",
            interval_figure(interval_table(learned, "log_ratio"), label),
        ),
        Table(f"Final training losses after {steps:,} steps", table),
        *pictures,
    ]


def _task_row(suite: SuiteData, task: str, rows: dict[str, Any]) -> dict[str, Any]:
    best = min((name for name in rows if name != LEARNED), key=lambda name: rows[name]["final_train_loss"]["mean"])
    form = ".4g"
    return {
        "task": task,
        LEARNED: interval(rows[LEARNED]["final_train_loss"], form),
        suite.reference: interval(rows[suite.reference]["final_train_loss"], form),
        "best baseline": f"{best} {interval(rows[best]['final_train_loss'], form)}",
        "at its grid's edge": bool(rows[best]["learning_rate_at_grid_edge"]),
    }


def _curves(suite: SuiteData, task: str, steps: int) -> Any:
    rows = suite.summary["tasks"][task][str(steps)]
    rivals = sorted((name for name in rows if name != LEARNED), key=lambda name: rows[name]["final_train_loss"]["mean"])
    names = [LEARNED, *dict.fromkeys([suite.reference, *rivals[:RIVALS]])]
    curves: Any = suite.curves
    curves = curves[(curves["task"] == task) & (curves["num_steps"] == steps) & (curves["stage"] == "judging")]
    bands = [curve_bands(curves[curves["optimizer"] == name], "smoothed").assign(optimizer=name) for name in names]
    return curves_figure(pd.concat(bands, ignore_index=True), label="training loss (smoothed)")


def _costs(suite: SuiteData) -> list[Block]:
    titles = {
        "flops_per_step": "operations a step",
        "seconds_per_step": "seconds a step",
        "bytes_per_lifetime": "memory of a lifetime",
        "state_bytes_per_parameter": "optimizer state",
    }
    rows = [
        {"optimizer": name, **{title: float(row.get(key, np.nan)) for key, title in titles.items()}}
        for name, row in suite.summary["costs"].items()
    ]
    caption = f"Means over tasks, relative to {suite.reference}; a step is one update with its loss and gradient"
    return [Table(caption, pd.DataFrame(rows))]


def _how(suite: SuiteData) -> list[Block]:
    identity = suite.identity
    about = Facts([("artifact", identity.get("artifact")), ("SHA-256 of its arrays", identity.get("theta_sha256"))])
    return [about, *configuration(suite.fields)]


def _again(suite: SuiteData) -> list[Block]:
    again = command("heurax", "evaluate", suite.identity.get("artifact", "ARTIFACT"), "--suite", "suite.yaml", "--out")
    return [
        Code(yaml.safe_dump(suite.config, sort_keys=False).rstrip(), "Save this as suite.yaml,"),
        Code(f"{again} suite-again", "and evaluate the same artifact:"),
    ]
