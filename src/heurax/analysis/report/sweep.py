"""The report of a sweep."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from heurax.analysis.report.page import Block, Code, Facts, Note, Page, Picture, Section, Table, format_value
from heurax.analysis.report.parts import command, configuration, duration
from heurax.analysis.sweep_figures import importance_figure, parallel_figure, response_figure, trials_figure
from heurax.analysis.sweeps import SweepData, load_sweep
from heurax.sweeps import STATUSES

__all__ = ["sweep_page"]

SHOWN = 100
"""Trials in the table of the page; all of them are in trials.csv."""


def sweep_page(path: Path) -> Page:
    """Read a sweep directory as a report.

    Raises:
        HeuraxError: there is no sweep, or a file of it is damaged.
    """
    sweep = load_sweep(path)
    sections = [Section("What was found", _found(sweep)), Section("Trials", _trials(sweep))]
    failed: Any = sweep.trials[sweep.trials["status"] == "failed"]
    if len(failed):
        sections.append(Section("Failures", [Table("Trials that failed", failed[["name", "error"]])]))
    sections.append(Section("Configuration", configuration(sweep.fields), folded=True))
    sections.append(Section("Do it again", _again(sweep)))
    return Page("Sweep", path.resolve().name, _lead(sweep), _facts(sweep), sections)


def _metric(sweep: SweepData) -> str:
    return sweep.metric.replace("_", " ")


def _lead(sweep: SweepData) -> str:
    best = sweep.ranked.head(1).to_dict("records")
    searched = ", ".join(sweep.table.fields) or "nothing but seeds"
    start = f"A search over {searched} around {sweep.table.base}"
    if not best:
        return f"{start}: no trial has a result yet."
    values = ", ".join(f"{name} {format_value(best[0][name])}" for name in sweep.table.fields)
    at = f" at {values}" if values else ""
    return f"{start}. Best: {_metric(sweep)} {format_value(best[0]['metric'])}{at}, in trial {best[0]['name']}."


def _facts(sweep: SweepData) -> Facts:
    counts: Any = sweep.trials["status"].value_counts()
    pairs: list[tuple[str, Any]] = [("trials planned", sweep.table.num_trials)]
    pairs += [(status, int(counts[status])) for status in STATUSES if status in counts]
    if len(sweep.ranked):
        pairs.append((f"best {_metric(sweep)}", float(sweep.ranked["metric"].iloc[0])))
    return Facts([*pairs, ("time of all trials", duration(float(np.sum(sweep.trials["seconds"]))))], large=True)


def _found(sweep: SweepData) -> list[Block]:
    ranked, fields, label = sweep.ranked, sweep.table.fields, _metric(sweep)
    if ranked.empty:
        return [Note("No trial has a result yet.")]
    blocks: list[Block] = []
    if fields:
        caption = f"Every trial from its values to its {label}; the best tenth in orange."
        blocks.append(Picture(caption, parallel_figure(ranked, fields, label, sweep.minimizes), wide=True))
    if sweep.table.importance:
        caption = f"How much of the differences in {label} each field accounts for."
        blocks.append(Picture(caption, importance_figure(sweep.table.importance)))
    blocks += [
        Picture(f"{label.capitalize()} over {field}: every trial, and the means where trials share a value.", figure)
        for field in fields
        for figure in [response_figure(ranked, field, label)]
    ]
    return blocks


def _trials(sweep: SweepData) -> list[Block]:
    blocks: list[Block] = []
    if len(sweep.ranked) and "meta_loss" in sweep.metrics and len(sweep.metrics):
        figure = trials_figure(sweep.metrics, int(sweep.ranked["point"].iloc[0]))
        blocks.append(Picture("Meta-loss of every trial over outer steps; those of the best point in orange.", figure))
    order: Any = pd.concat([sweep.ranked, sweep.trials[sweep.trials["metric"].isna()]])
    columns = ["name", *sweep.table.fields, "seed", "metric", "status", "outer_steps", "attempts", "seconds"]
    table = order[columns].rename(columns=lambda name: name.replace("_", " ") if name in columns[-5:] else name)
    caption = "Trials, best first" + (f": {SHOWN} of {len(table)}" if len(table) > SHOWN else "")
    return [*blocks, Table(caption, table.head(SHOWN))]


def _again(sweep: SweepData) -> list[Block]:
    config = sweep.path / "sweep.yaml"
    return [Code(command("heurax", "sweep", config, "--out", f"runs/{sweep.path.resolve().name}-again"))]
