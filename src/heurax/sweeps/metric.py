"""What a sweep optimises: one number of a run, read from what the run wrote."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from heurax.config import did_you_mean
from heurax.errors import HeuraxError

__all__ = ["Metric", "last_record", "read_metric", "read_records"]


@dataclass(frozen=True)
class Metric:
    """A number of a run, and which way is better.

    Args:
        name: of a field of `metrics.jsonl` or `summary.json`.
        goal: whether small or large is good.
        source: `metrics` takes the mean over the last records of `metrics.jsonl`, `summary` a number of
            `summary.json`.
        tail: the share of the outer steps so far over which records are averaged; in (0, 1]. At least the last one
            counts.
    """

    name: str = "meta_loss"
    goal: Literal["minimize", "maximize"] = "minimize"
    source: Literal["metrics", "summary"] = "metrics"
    tail: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.tail <= 1:
            raise ValueError(f"tail must be in (0, 1], got {self.tail}")


def read_metric(run_dir: Path, metric: Metric) -> float:
    """A run's number; infinity on the bad side where a record's value was not finite.

    Raises:
        HeuraxError: the run has no such number.
    """
    worst = math.inf if metric.goal == "minimize" else -math.inf
    if metric.source == "summary":
        record = _summary(run_dir)
        numbers = [name for name, value in record.items() if isinstance(value, int | float)]
        if metric.name not in numbers:
            raise HeuraxError(f"summary.json has no number {metric.name!r}{did_you_mean(metric.name, numbers)}")
        return float(record[metric.name])
    records = read_records(run_dir)
    if not records:
        raise HeuraxError("metrics.jsonl has no records")
    if metric.name not in records[-1]:
        raise HeuraxError(f"metrics.jsonl has no {metric.name!r}{did_you_mean(metric.name, list(records[-1]))}")
    first = records[-1]["step"] * (1 - metric.tail)
    values = [r[metric.name] for r in records if r["step"] > first and metric.name in r]
    return math.fsum(worst if value is None else value for value in values) / len(values)


def read_records(run_dir: Path) -> list[dict[str, Any]]:
    """The complete records of a run's `metrics.jsonl`; none if there is no such file."""
    path = run_dir / "metrics.jsonl"
    if not path.is_file():
        return []
    text = path.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]  # the last may be half a line


def last_record(run_dir: Path) -> dict[str, Any] | None:
    """The last complete record of a run's `metrics.jsonl`, if any."""
    records = read_records(run_dir)
    return records[-1] if records else None


def _summary(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "summary.json"
    return json.loads(path.read_text()) if path.is_file() else {}
