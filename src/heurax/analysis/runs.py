"""Runs as data: what `heurax train` left in a run directory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from heurax.analysis.reading import flat_fields, read_json, read_json_lines, read_yaml, require_directory
from heurax.errors import HeuraxError

__all__ = ["RunData", "load_run", "stack_runs"]


@dataclass(frozen=True)
class RunData:
    """A meta-training run.

    Attributes:
        path: its directory.
        metrics: one row per logged outer step: `step`, `meta_loss` and whatever else was logged; NaN where a number was
            not finite. Empty before the first record.
        config: the resolved config.
        summary: what the run came to; empty before it has ended.
        starts: what every process of the run was made with: time, command, versions, device, data; empty for runs of
            versions that did not record it.
    """

    path: Path
    metrics: pd.DataFrame
    config: dict[str, Any]
    summary: dict[str, Any]
    starts: list[dict[str, Any]]

    @property
    def status(self) -> str:
        """`finished`, `stopped` by a signal, or `unfinished`: still going on, killed, or ended by an error."""
        return str(self.summary.get("status", "unfinished"))

    @property
    def seed(self) -> int | None:
        """Of everything random in the run."""
        return self.config.get("seed")

    @property
    def fields(self) -> dict[str, Any]:
        """The config by dotted names, as the command line sets them."""
        return flat_fields(self.config)

    @property
    def provenance(self) -> dict[str, Any]:
        """Code version, package versions, device; of the latest process, as far as they were recorded."""
        return self.starts[-1].get("environment", {}) if self.starts else self.summary.get("environment", {})


def load_run(path: str | os.PathLike[str]) -> RunData:
    """Read a run directory, also while the run is going on.

    Args:
        path: the directory, as `heurax train --run_dir` made it.

    Raises:
        HeuraxError: there is no run, or a file of it is damaged.
    """
    path = Path(path)
    require_directory(path, "run", "config.yaml")
    config = read_yaml(path / "config.yaml")
    if not {"inner", "outer"} <= config.keys():
        raise HeuraxError(f"there is no run at {path}: its config.yaml is not that of a meta-training run")
    log, summary = path / "metrics.jsonl", path / "summary.json"
    records = read_json_lines(log) if log.is_file() else []
    if any("step" not in record for record in records):
        raise HeuraxError(f"{log} is damaged: a record has no step")
    metrics = pd.DataFrame(records, columns=None if records else ["step", "meta_loss"])
    numbers = metrics.columns.difference(["step"])
    try:
        metrics[numbers] = metrics[numbers].astype("float64")
    except (TypeError, ValueError) as error:
        raise HeuraxError(f"{log} is damaged: it has a metric that is no number") from error
    came_to = read_json(summary) if summary.is_file() else {}
    return RunData(path, metrics, config, came_to, _starts(path / "provenance.json"))


def _starts(path: Path) -> list[dict[str, Any]]:
    starts = read_json(path).get("starts", []) if path.is_file() else []
    if not isinstance(starts, list) or not all(isinstance(start, dict) for start in starts):
        raise HeuraxError(f"{path} is damaged: its starts are no list of JSON objects")
    return starts


def stack_runs(runs: Mapping[str, RunData]) -> pd.DataFrame:
    """The metrics of several runs in one tidy table, for `training_figure`.

    Args:
        runs: by name.

    Returns:
        Their `metrics`, with the columns `run` (the name) and `seed` before them.

    >>> stack_runs({}).columns.tolist()
    ['run', 'seed', 'step', 'meta_loss']
    """
    if not runs:
        return pd.DataFrame(columns=["run", "seed", "step", "meta_loss"])
    tables = []
    for name, run in runs.items():
        table = run.metrics.copy()
        table.insert(0, "run", name)
        table.insert(1, "seed", run.seed)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
