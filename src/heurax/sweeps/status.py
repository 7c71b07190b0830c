"""How a sweep is doing: a table for the terminal, live or once."""

import fcntl
import functools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from heurax.sweeps.metric import last_record
from heurax.sweeps.table import STATUSES, SweepTable, TrialRecord, read_table

__all__ = ["SweepProgress", "is_running", "show_status", "status_view"]

STYLES = {"running": "cyan", "finished": "green", "failed": "red", "pruned": "dim", "stopped": "yellow"}
SECONDS_BETWEEN_VIEWS = 1.0


def show_status(directory: Path, console: Console) -> None:
    """Show the table of a sweep: on a terminal, live for as long as the sweep runs.

    Args:
        directory: of the sweep.
        console: where to.

    Raises:
        HeuraxError: there is no sweep.
    """
    view = status_view(directory, _as_it_is(directory), console.height)
    if not (console.is_terminal and is_running(directory)):
        console.print(status_view(directory, _as_it_is(directory)))
        return
    with Live(view, console=console, auto_refresh=False) as live:
        while is_running(directory):
            time.sleep(SECONDS_BETWEEN_VIEWS)
            live.update(status_view(directory, _as_it_is(directory), console.height), refresh=True)


def status_view(directory: Path, table: SweepTable, height: int | None = None) -> Group:
    """The table of a sweep, what is best so far, errors, and what remains.

    Args:
        directory: of the sweep.
        table: its table.
        height: lines that there is room for; trials that wait or have ended are left out where there are too many.
    """
    now = {t.name: last_record(directory / "trials" / t.name) or {} for t in table.trials if t.status == "running"}
    totals = {name: _total(directory / "trials" / name / "config.yaml") for name in now}
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("trial", *table.fields, "seed", "status", "outer step", "per second", table.metric["name"]):
        left = heading in ("trial", "status")
        rows.add_column(heading.split(".")[-1], justify="left" if left else "right", no_wrap=True)
    shown = _most_telling(table, None if height is None else max(height - 8, 4))
    for trial in shown:
        record = now.get(trial.name, {})
        step = record.get("step", trial.outer_steps)
        of = f"/{totals[trial.name]:,}" if totals.get(trial.name) else ""
        rate = record.get("outer_steps_per_second")
        metric = record.get(table.metric["name"]) if trial.status == "running" else trial.metric
        rows.add_row(
            trial.name,
            *(_short(trial.values.get(name)) for name in table.fields),
            str(trial.seed),
            Text(trial.status, STYLES.get(trial.status, "")),
            f"{step:,}{of}" if step else "",
            "" if rate is None else f"{rate:,.1f}",
            "" if metric is None else f"{metric:.4g}",
        )
    left_out = len(table.trials) - len(shown)
    lines: list[Any] = [rows]
    if left_out:
        lines.append(Text(f"and {left_out:,} more", "dim"))
    lines.append(Text(_sentence(table, now, totals)))
    for trial in table.trials:
        if trial.error is not None:
            lines.append(Text(f"{trial.name} failed: {trial.error}", "red"))
    return Group(*lines)


def is_running(directory: Path) -> bool:
    """Whether a process holds the sweep."""
    path = directory / ".lock"
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


class SweepProgress:
    """Shows a running sweep: a live table on a terminal, a line for every trial that ends elsewhere.

    Args:
        console: where to.
        directory: of the sweep.
    """

    def __init__(self, console: Console, directory: Path) -> None:
        self._console, self._directory = console, directory
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._seen: dict[str, str] = {}
        self._last = 0.0

    def __enter__(self) -> "SweepProgress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, table: SweepTable) -> None:
        """Show a table that may have changed."""
        changed = [trial for trial in table.trials if self._seen.get(trial.name) != trial.status]
        self._seen.update({trial.name: trial.status for trial in changed})
        if self._live is not None:
            if changed or time.monotonic() - self._last > SECONDS_BETWEEN_VIEWS:
                self._last = time.monotonic()
                self._live.update(status_view(self._directory, table, self._console.height), refresh=True)
            return
        ended = sum(trial.ended for trial in table.trials)
        for trial in changed:
            if trial.ended:
                metric = "" if trial.metric is None else f", {table.metric['name']} {trial.metric:.4g}"
                error = f": {trial.error}" if trial.error else ""
                line = f"trial {trial.name} {trial.status}{metric}{error}  ({ended} of {table.num_trials})"
                self._console.print(line, highlight=False, soft_wrap=True)


def _as_it_is(directory: Path) -> SweepTable:
    """The table on disk; what it says is running is not, once the sweep is gone."""
    table = read_table(directory)
    if is_running(directory):
        return table
    as_stopped: Callable[[TrialRecord], TrialRecord] = lambda t: replace(t, status="stopped")  # noqa: E731
    return replace(table, trials=[as_stopped(t) if t.status == "running" else t for t in table.trials])


def _sentence(table: SweepTable, now: dict[str, dict[str, Any]], totals: dict[str, int]) -> str:
    """How many trials are what, the best one, and how long the rest will take."""
    counts = Counter(trial.status for trial in table.trials)
    parts = [f"{counts[status]} {status}" for status in STATUSES if counts[status]]
    text = f"{table.num_trials} trials: {', '.join(parts)}"
    done = [trial for trial in table.trials if trial.status == "finished" and trial.metric is not None]
    if done:
        sign = 1 if table.metric["goal"] == "minimize" else -1
        best = min(done, key=lambda trial: sign * trial.metric)  # pyright: ignore # those without one are left out
        text += f"; best {best.name} with {table.metric['name']} {best.metric:.4g}"
    rates = [record["outer_steps_per_second"] for record in now.values() if record.get("outer_steps_per_second")]
    if rates and totals:
        left = sum(totals[name] - record.get("step", 0) for name, record in now.items())
        to_come = table.num_trials - len(now) - sum(trial.ended for trial in table.trials)
        left += to_come * sum(totals.values()) / len(totals)
        seconds = left / sum(rates)
        text += f"; {sum(rates):,.1f} outer steps per second, about {_duration(seconds)} left"
    return text


def _most_telling(table: SweepTable, room: int | None) -> list[TrialRecord]:
    """The trials that there is room for: those that run, failed ones, the best, then others; in their order."""
    if room is None or len(table.trials) <= room:
        return table.trials
    sign = 1 if table.metric["goal"] == "minimize" else -1
    order = ["running", "failed", "finished", "stopped", "waiting", "pruned"]
    ranked = sorted(table.trials, key=lambda t: (order.index(t.status), sign * t.metric if t.metric is not None else 0))
    names = {trial.name for trial in ranked[:room]}
    return [trial for trial in table.trials if trial.name in names]


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@functools.lru_cache(maxsize=4096)
def _total(config: Path) -> int:
    """The outer steps of a trial; 0 where its config cannot be read."""
    try:
        outer = yaml.safe_load(config.read_text())["outer"]
        return int(outer.get("init_args", outer)["num_steps"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return 0
