"""The report of a meta-training run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd

from heurax import artifacts
from heurax.analysis.curves import training_figure
from heurax.analysis.drifts import drift_figure, published_drifts
from heurax.analysis.evaluations import load_evaluation
from heurax.analysis.report.evaluation import evaluation_sections, verdict
from heurax.analysis.report.page import Block, Code, Facts, Note, Page, Picture, Section, Table, format_value
from heurax.analysis.report.parts import command, configuration, duration, provenance
from heurax.analysis.runs import RunData, load_run
from heurax.analysis.steps import schedule_figure, schedule_table
from heurax.analysis.updates import update_figure, update_table
from heurax.config import read_config
from heurax.errors import HeuraxError
from heurax.rules import Drift, LearnedOptimizer
from heurax.runs import TrainConfig

__all__ = ["run_page"]

LABELS = {
    "gradient_norm": "Norm of the meta-gradient before clipping.",
    "theta_norm": "Norm of the meta-parameters.",
    "diverged": "Share of inner steps whose loss was not finite or above the cap.",
    "nonfinite": "Share of pairs of lifetimes with a loss that was not finite.",
}
UNSHOWN = {"step", "meta_loss", "outer_steps_per_second"}

STATUS = {
    "finished": "finished",
    "stopped": "stopped by a signal; the same command resumes it",
    "unfinished": "no summary yet: still going on, killed, or ended by an error",
}


def run_page(path: Path) -> Page:
    """Read a run directory, and the evaluation in it if there is one, as a report.

    Raises:
        HeuraxError: there is no run, or a file of it is damaged.
    """
    run = load_run(path)
    sections = [Section("Meta-training", _training(run))]
    if (path / "artifact" / "rule.json").is_file():
        sections.append(Section("The rule", _rule(path)))
    if (path / "evaluation.json").is_file():
        evaluation = load_evaluation(path)
        found, *rest = evaluation_sections(evaluation)
        sections += [replace(found, blocks=[Note(verdict(evaluation)), *found.blocks]), *rest]
    sections.append(Section("Schedules", _schedules(path)))
    sections.append(Section("Configuration", configuration(run.fields), folded=True))
    sections.append(Section("Where it comes from", _origin(run)))
    sections.append(Section("Do it again", _again(run)))
    return Page("Meta-training run", path.resolve().name, _lead(run), _facts(run), sections)


def _lead(run: RunData) -> str:
    fields = run.fields
    rule, task = fields.get("inner.rule"), fields.get("inner.task") or fields.get("inner.env")
    what = f"{rule} in {fields['inner']}" if rule else str(fields["inner"])
    on = f" on {task}" if task else ""
    how = fields.get("outer.estimator") or fields.get("outer.strategy")
    by = f"{fields['outer']} with {how}" if how else str(fields["outer"])
    return f"{what}{on}, improved by {by}: {STATUS.get(run.status, run.status)}."


def _facts(run: RunData) -> Facts:
    metrics: Any = run.metrics
    summary, total = run.summary, run.fields.get("outer.num_steps")
    losses = metrics["meta_loss"] if "meta_loss" in metrics else pd.Series(dtype=float)
    made = summary.get("outer_steps", int(metrics["step"].max()) if len(metrics) else 0)
    steps = f"{format_value(made)} of {format_value(total)}" if total != made else format_value(made)
    pairs: list[tuple[str, Any]] = [("outer steps", steps)]
    if len(losses):
        last = float(losses.iloc[-1])
        pairs += [("meta-loss at the end", last if np.isfinite(last) else "not finite")]
        pairs += [("lowest meta-loss", float(losses.min()))]
    if summary:
        pairs += [
            ("inner steps", summary.get("inner_steps")),
            ("inner steps a second", round(summary.get("inner_steps_per_second") or 0)),
            ("training time", duration(summary.get("run_seconds"))),
            ("memory of a device", _megabytes(summary.get("memory_bytes_per_device"))),
        ]
    return Facts(pairs, large=True)


def _training(run: RunData) -> list[Block]:
    if run.metrics.empty:
        return [Note("Nothing has been logged yet.")]
    metrics: Any = run.metrics
    names = [name for name in metrics if name not in UNSHOWN]
    varying = [name for name in names if metrics[name].nunique() > 1]
    captions = {"meta_loss": "Meta-loss: the mean over the lifetimes of each logged stretch of outer steps."} | LABELS
    blocks: list[Block] = [
        Picture(captions.get(name, f"{name.replace('_', ' ').capitalize()}."), training_figure(metrics, name))
        for name in ["meta_loss", *varying]
        if name in metrics
    ]
    blocks.append(Table("What was logged", _overview(metrics, names)))
    return blocks


def _overview(metrics: Any, names: list[str]) -> pd.DataFrame:
    rows = []
    for name in [name for name in ["meta_loss", *names, "outer_steps_per_second"] if name in metrics]:
        values = metrics[name][np.isfinite(metrics[name])]
        ends = (values.iloc[0], values.iloc[-1], values.min(), values.max()) if len(values) else (np.nan,) * 4
        rows.append((name.replace("_", " "), *map(float, ends), len(metrics) - len(values)))
    return pd.DataFrame(rows, columns=["metric", "first", "last", "lowest", "highest", "not finite"])


def _rule(path: Path) -> list[Block]:
    artifact = artifacts.load(path)
    count = sum(leaf.size for leaf in jax.tree.leaves(artifact.theta))
    blocks: list[Block] = [Facts([("rule", type(artifact.rule).__name__), ("meta-parameters", count)])]
    if isinstance(artifact.rule, LearnedOptimizer):
        caption = (
            "The update of one parameter over its gradient, after gradients that varied around a momentum: all in "
            "multiples of the standard deviation of gradients, 0.01; the mean of 16 surroundings."
        )
        try:
            blocks.append(Picture(caption, update_figure({"learned": update_table(artifact.optimizer)})))
        except ValueError as error:  # a rule that has to know a tensor's part in a network, such as MuP
            blocks.append(Note(f"Its updates are not shown: {error}."))
    elif isinstance(artifact.rule, Drift):
        caption = (
            "The drift and its gradient with respect to the ratio of new and old policy, half-way through training."
        )
        blocks.append(Picture(caption, drift_figure({"learned": artifact.drift} | published_drifts()), wide=True))
    return blocks


def _schedules(path: Path) -> list[Block]:
    try:
        config, _ = read_config(TrainConfig, path / "config.yaml")
    except HeuraxError as error:
        return [Note(f"Not shown, since this version of heurax does not read the run's config: {error}.")]
    table = schedule_table(config.outer)
    if len(table.columns) == 1:
        return [Note(f"{type(config.outer).__name__} schedules nothing over outer steps.")]
    return [Picture("What was scheduled over the outer steps of the whole run.", schedule_figure(table))]


def _origin(run: RunData) -> list[Block]:
    blocks = provenance(run.provenance, run.seed)
    if not run.starts:
        return blocks
    latest = run.starts[-1]
    if latest.get("data"):
        data = pd.DataFrame(latest["data"].items(), columns=["data", "SHA-256"])
        blocks.append(Table("What it was trained on", data))
    starts = [(start.get("time"), command(*start.get("command", []))) for start in run.starts]
    blocks.append(Table("Processes of the run, in UTC", pd.DataFrame(starts, columns=["started", "command"])))
    if (run.path / "uncommitted.diff").is_file():
        blocks.append(Note("The code differed from its commit by uncommitted.diff, in the run's directory."))
    return blocks


def _again(run: RunData) -> list[Block]:
    directory = run.path.name or "run"
    return [
        Code(command("heurax", "train", run.path / "config.yaml", "--run_dir", f"runs/{directory}-again")),
        Note("The same seed on the same versions and devices gives the same numbers."),
    ]


def _megabytes(size: int | None) -> str | None:
    return None if not size else f"{size / 1e6:,.1f} MB"
