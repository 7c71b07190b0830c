"""The table of a sweep: what it is trying, how far that is, and what came of it. `heurax.sweeps` has the schema."""

import csv
import dataclasses
import io
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from heurax.errors import HeuraxError
from heurax.files import write_text

__all__ = ["STATUSES", "Status", "SweepTable", "TrialRecord", "read_table", "write_table"]

SCHEMA = 1

Status = Literal["waiting", "running", "stopped", "finished", "pruned", "failed"]

STATUSES: tuple[Status, ...] = get_args(Status)
"""What a trial can be, in the order in which they are reported."""

ENDED: tuple[Status, ...] = ("finished", "pruned", "failed")


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        name: of its directory under `trials/`.
        point: number of its point, from 0.
        seed: of everything random in it.
        values: of the searched fields, by their dotted names.
        status: see `heurax.sweeps`.
        metric: what the sweep optimises; None until there is one.
        outer_steps: made so far, as far as known.
        attempts: times that it was started.
        seconds: that its processes have taken.
        error: of a failed trial, one sentence.
    """

    name: str
    point: int
    seed: int
    values: dict[str, Any]
    status: Status = "waiting"
    metric: float | None = None
    outer_steps: int = 0
    attempts: int = 0
    seconds: float = 0.0
    error: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.status in ENDED


@dataclass(frozen=True)
class SweepTable:
    """All trials of a sweep.

    Attributes:
        base: the base config, as the sweep names it.
        metric: the fields of `heurax.sweeps.Metric`.
        fields: dotted names of what is searched.
        num_trials: planned.
        trials: those that are known so far.
        importance: of every field for the metric, adding up to 1; None where it was not measured.
    """

    base: str
    metric: dict[str, Any]
    fields: list[str]
    num_trials: int
    trials: list[TrialRecord] = field(default_factory=list)
    importance: dict[str, float] | None = None


def write_table(directory: Path, table: SweepTable) -> None:
    """Write `sweep.json` and `trials.csv` of a sweep directory, each in one piece.

    Raises:
        HeuraxError: they cannot be written; what was there before still is.
    """
    record = {"schema": SCHEMA, **dataclasses.asdict(table)}
    for trial in record["trials"]:
        trial["metric"] = _finite(trial["metric"])
        trial["values"] = {name: _finite(value) for name, value in trial["values"].items()}
    write_text(directory / "sweep.json", json.dumps(record, indent=1) + "\n")
    text = io.StringIO()
    columns = [f.name for f in dataclasses.fields(TrialRecord) if f.name != "values"]
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([*columns, *table.fields])
    for trial in record["trials"]:
        values = [_cell(trial["values"].get(name)) for name in table.fields]
        rows.writerow([*(trial[column] for column in columns), *values])
    write_text(directory / "trials.csv", text.getvalue())


def read_table(directory: Path) -> SweepTable:
    """Read `sweep.json`.

    Raises:
        HeuraxError: there is no sweep there, or its table is of another version, or damaged.
    """
    path = directory / "sweep.json"
    if not path.is_file():
        raise HeuraxError(f"there is no sweep at {directory}: it has no sweep.json")
    try:
        record = json.loads(path.read_text())
        schema = record.pop("schema")
        if schema != SCHEMA:
            raise HeuraxError(f"{path} has schema {schema}; this version of heurax reads {SCHEMA}")
        return SweepTable(**{**record, "trials": [TrialRecord(**trial) for trial in record["trials"]]})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HeuraxError(f"{path} cannot be read: {error}") from error


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
