"""Suites as data: what `heurax evaluate --suite` wrote."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from heurax.analysis.reading import flat_fields, read_json, require_directory
from heurax.errors import HeuraxError
from heurax.evaluation import SUITE_FILE
from heurax.evaluation.tables import COSTS, CURVES, PROFILES, RUNS, SCORES, read_table

__all__ = ["SuiteData", "interval_table", "load_suite"]


@dataclass(frozen=True)
class SuiteData:
    """A learned optimizer, `learned`, and tuned baselines on many tasks.

    Attributes:
        path: its directory.
        runs: one row per training run; `heurax.evaluation.tables.SCHEMAS` has the columns of all tables.
        curves: their losses, at some steps.
        scores: one row per task, horizon, optimizer and judging seed.
        profiles: performance profiles of the steps to the targets, by horizon.
        costs: of each optimizer on each task.
        summary: intervals over tasks and seeds by horizon and optimizer (`horizons`), by task (`tasks`), relative
            costs (`costs`), and the baseline that all refer to (`reference`).
        config: how it was measured.
        identity: which artifact was measured: its name and the digest of its arrays.
    """

    path: Path
    runs: pd.DataFrame
    curves: pd.DataFrame
    scores: pd.DataFrame
    profiles: pd.DataFrame
    costs: pd.DataFrame
    summary: dict[str, Any]
    config: dict[str, Any]
    identity: dict[str, Any]

    @property
    def reference(self) -> str:
        """The baseline that scores refer to."""
        return self.summary["reference"]

    @property
    def horizons(self) -> list[int]:
        """Numbers of steps, ascending."""
        return sorted(map(int, self.summary["horizons"]))

    @property
    def fields(self) -> dict[str, Any]:
        """The config by dotted names, as the command line sets them."""
        return flat_fields(self.config)


def load_suite(path: str | os.PathLike[str]) -> SuiteData:
    """Read the directory of a suite's evaluation.

    Args:
        path: the directory, as `heurax evaluate --suite NAME --out` wrote it.

    Raises:
        HeuraxError: there is no suite, it is not finished, or a file of it is damaged.
    """
    path = Path(path)
    require_directory(path, "suite", SUITE_FILE)
    summary = read_json(path / SUITE_FILE)
    identity = summary.pop("identity", None)
    if not isinstance(identity, dict) or "config" not in identity:
        raise HeuraxError(f"there is no suite at {path}: its {SUITE_FILE} is not heurax's")
    if summary.get("status") != "finished":
        raise HeuraxError(f"the suite at {path} is not finished; run the same heurax evaluate again to go on with it")
    if not {"reference", "horizons", "tasks", "costs"} <= summary.keys():
        raise HeuraxError(f"there is no suite at {path}: its {SUITE_FILE} is not heurax's")
    config = identity.pop("config")
    runs, curves, scores, profiles, costs = (read_table(path, name) for name in (RUNS, CURVES, SCORES, PROFILES, COSTS))
    return SuiteData(path, runs, curves, scores, profiles, costs, summary, config, identity)


def interval_table(rows: dict[str, dict[str, Any]], value: str) -> pd.DataFrame:
    """Intervals of a summary as a table, for `interval_figure`.

    Args:
        rows: by name, each with an interval under `value`: `summary["horizons"]["200"]`, say.
        value: which one.

    Returns:
        The columns `name`, `mean`, `low` and `high`.

    >>> interval_table({"adam": {"log_ratio": {"mean": 1.0, "low": 0.0, "high": 2.0}}}, "log_ratio").values.tolist()
    [['adam', 1.0, 0.0, 2.0]]
    """
    table = [(name, *(row[value][part] for part in ("mean", "low", "high"))) for name, row in rows.items()]
    return pd.DataFrame(table, columns=["name", "mean", "low", "high"])
