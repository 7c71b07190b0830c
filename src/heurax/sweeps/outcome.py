"""What became of a trial, as its run directory and its process tell."""

import json
import signal
from pathlib import Path
from typing import Any

from heurax.errors import HeuraxError
from heurax.sweeps.launchers import Exit
from heurax.sweeps.metric import Metric, last_record, read_metric

__all__ = ["is_full_disk", "judge"]

ERROR = "heurax: error: "


def judge(run_dir: Path, end: Exit | None, metric: Metric, log_start: int = 0, pruned: bool = False) -> dict[str, Any]:
    """What a trial is now: `status`, `metric`, `outer_steps` and `error` of its record.

    Args:
        run_dir: the trial's directory.
        end: of the process that ran it; None if there was none.
        metric: what the sweep optimises.
        log_start: where what that process has printed begins in `log.txt`.
        pruned: whether it was asked to stop because it is not worth going on.
    """
    summary = _summary(run_dir)
    finished = summary.get("status") == "finished"
    record = last_record(run_dir) or {}
    known = {"metric": None, "outer_steps": summary.get("outer_steps", 0) if finished else record.get("step", 0)}
    if finished or pruned:
        try:
            known["metric"] = read_metric(run_dir, metric)
        except HeuraxError as error:
            if finished:
                return {**known, "status": "failed", "error": str(error)}
        return {**known, "status": "finished" if finished else "pruned", "error": None}
    if end is None:
        return {**known, "status": "stopped" if known["outer_steps"] else "waiting", "error": None}
    if end.code > 128 or -end.code in (signal.SIGTERM, signal.SIGINT):  # the latter before it could handle them
        return {**known, "status": "stopped", "error": None}
    return {**known, "status": "failed", "error": _error(run_dir, end, log_start)}


def is_full_disk(error: str) -> bool:
    """Whether a trial failed for want of space, which is no fault of its own."""
    return "o space left on device" in error


def _summary(run_dir: Path) -> dict[str, Any]:
    path = run_dir / "summary.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _error(run_dir: Path, end: Exit, log_start: int) -> str:
    """One sentence out of what a process has printed."""
    log = run_dir / "log.txt"
    lines: list[str] = []
    if log.is_file():
        with log.open(errors="replace") as file:
            file.seek(log_start)
            lines = [line.strip() for line in file if line.strip()]
    if end.code < 0:
        return f"its process was killed by {signal.Signals(-end.code).name}; see {log}"
    said = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    if said:
        return said[-1]
    reason = end.reason or (lines[-1] if lines else f"its process ended with exit code {end.code}")
    return f"{reason}; see {log}"
