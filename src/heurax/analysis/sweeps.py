"""Sweeps as data: what `heurax sweep` left in a sweep directory."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from heurax.analysis.reading import flat_fields, read_yaml, require_directory
from heurax.analysis.runs import load_run
from heurax.sweeps import SweepTable, TrialRecord, read_table

__all__ = ["SweepData", "load_sweep"]


@dataclass(frozen=True)
class SweepData:
    """A sweep.

    Attributes:
        path: its directory.
        trials: one row per trial: `name`, `point`, `seed`, `status`, `metric` (NaN until there is one),
            `outer_steps`, `attempts`, `seconds`, `error`, then the searched fields by their dotted names.
        metrics: the logged metrics of all trials that have begun: `run` (the trial), `point`, `seed`, `step`, ...
        table: as it was written: the metric, the searched fields, their importance.
        config: the resolved config of the sweep; empty if there is none.
    """

    path: Path
    trials: pd.DataFrame
    metrics: pd.DataFrame
    table: SweepTable
    config: dict[str, Any]

    @property
    def metric(self) -> str:
        """The name of what the sweep optimises."""
        return str(self.table.metric.get("name", "metric"))

    @property
    def minimizes(self) -> bool:
        """Whether less of the metric is better."""
        return self.table.metric.get("goal", "minimize") == "minimize"

    @property
    def ranked(self) -> pd.DataFrame:
        """The trials that have a metric, best first."""
        return self.trials.dropna(subset="metric").sort_values("metric", ascending=self.minimizes)

    @property
    def fields(self) -> dict[str, Any]:
        """The config by dotted names."""
        return flat_fields(self.config)


def load_sweep(path: str | os.PathLike[str]) -> SweepData:
    """Read a sweep directory, also while the sweep is going on.

    Args:
        path: the directory, as `heurax sweep` made it.

    Raises:
        HeuraxError: there is no sweep, or a file of it is damaged.
    """
    path = Path(path)
    require_directory(path, "sweep", "sweep.json")
    table = read_table(path)
    described = [field.name for field in dataclasses.fields(TrialRecord) if field.name != "values"]
    rows = [
        {name: getattr(trial, name) for name in described} | {name: trial.values.get(name) for name in table.fields}
        for trial in table.trials
    ]
    trials = pd.DataFrame(rows, columns=[*described, *table.fields]).astype({"metric": "float64"})
    curves = [_curve(path / "trials" / trial.name, trial) for trial in table.trials]
    curves = [curve for curve in curves if curve is not None]
    empty = pd.DataFrame(columns=["run", "point", "seed", "step", "meta_loss"])
    metrics = pd.concat(curves, ignore_index=True) if curves else empty
    config = path / "sweep.yaml"
    return SweepData(path, trials, metrics, table, read_yaml(config) if config.is_file() else {})


def _curve(directory: Path, trial: TrialRecord) -> pd.DataFrame | None:
    """A trial's log, once it has one."""
    if not (directory / "config.yaml").is_file():
        return None
    metrics = load_run(directory).metrics
    if metrics.empty:
        return None
    for place, (name, value) in enumerate({"run": trial.name, "point": trial.point, "seed": trial.seed}.items()):
        metrics.insert(place, name, value)
    return metrics
