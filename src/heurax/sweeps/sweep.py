"""Running a sweep: ask for points, start their trials where there is room, take note of what becomes of them."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from heurax.errors import HeuraxError
from heurax.runs.signals import stop_on_signals
from heurax.sweeps.config import SweepConfig
from heurax.sweeps.directory import SweepDirectory
from heurax.sweeps.importance import importance
from heurax.sweeps.launchers import Exit, Job, Pool
from heurax.sweeps.metric import read_records
from heurax.sweeps.outcome import is_full_disk, judge
from heurax.sweeps.search import Explorer, ListedSearch, Point
from heurax.sweeps.status import SweepProgress
from heurax.sweeps.table import SweepTable, TrialRecord, read_table, write_table
from heurax.sweeps.trials import Trial, check_sweep, signature, trials_of

__all__ = ["SweepResult", "run_sweep"]

SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_TABLES = 5.0
"""At which the table is written while nothing but the progress of its trials changes."""


@dataclass(frozen=True)
class SweepResult:
    """What a call of `run_sweep` came to.

    Attributes:
        table: all trials.
        stopped_by: number of the signal that asked for a stop, if any.
    """

    table: SweepTable
    stopped_by: int | None


def run_sweep(
    config: SweepConfig,
    config_text: str,
    directory: Path,
    console: Console | None = None,
    *,
    retry_failed: bool = False,
) -> SweepResult:
    """Run a sweep in its directory; go on if it holds this sweep already.

    Trials that have finished are not run again, others resume from their checkpoints. A trial that fails does not stop
    the rest. SIGTERM and Ctrl-C stop all trials, which save first.

    Args:
        config: the sweep.
        config_text: its resolved config as YAML, which names the directory's owner.
        directory: made if it is not there.
        console: where progress is shown; standard error if None.
        retry_failed: whether trials that failed before are started again.

    Returns:
        What it came to.

    Raises:
        HeuraxError: what `check_sweep` finds; the directory belongs to another sweep or cannot be written; the launcher
            cannot be used or refuses a submission; the disk is full. Trials that run have saved and stopped then.
    """
    check_sweep(config)
    console = console or Console(stderr=True)
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(SweepDirectory(directory, config_text))
        explorer = config.search.open(directory, config.metric)
        sweep = _Sweep(config, held, explorer, retry_failed)
        with contextlib.ExitStack() as running:
            running.enter_context(sweep.stopping())
            pool = running.enter_context(config.launcher.open(directory))
            stop = running.enter_context(stop_on_signals())
            progress = running.enter_context(SweepProgress(console, directory))
            sweep.adopt(pool)
            while not stop and sweep.advance(pool):
                progress.update(sweep.table)
                time.sleep(SECONDS_BETWEEN_LOOKS)
            progress.update(sweep.table)
        if not stop:
            sweep.measure_importance()
    return SweepResult(sweep.table, stop.signal)


@dataclass
class _Running:
    """A job, and the trials that it runs."""

    job: Job
    trials: list[Trial]
    started: float
    log_start: int
    pruned: bool = False


class _Sweep:
    """The state of a running sweep; the table on disk follows it."""

    def __init__(self, config: SweepConfig, directory: SweepDirectory, explorer: Explorer, retry_failed: bool) -> None:
        self._config, self._directory, self._explorer = config, directory, explorer
        self._retry_failed = retry_failed
        self._records: dict[str, TrialRecord] = {}
        self._trials: dict[int, list[Trial]] = {}
        self._pending: deque[Trial] = deque()
        self._running: list[_Running] = []
        self._attached: dict[str, Job] = {}
        self._reported: dict[int, int] = {}
        self._exhausted = self._ending = False
        self._importance: dict[str, float] | None = None
        self._written, self._written_at = None, 0.0
        if (directory.path / "sweep.json").is_file():
            self._records = {record.name: record for record in read_table(directory.path).trials}

    @property
    def table(self) -> SweepTable:
        """All trials that are known so far."""
        config = self._config
        return SweepTable(
            base=config.base,
            metric=asdict(config.metric),
            fields=config.search.fields,
            num_trials=config.search.num_points * len(config.seeds),
            trials=sorted(self._records.values(), key=lambda r: (r.point, config.seeds.index(r.seed))),
            importance=self._importance,
        )

    def adopt(self, pool: Pool) -> None:
        """Take over jobs that an earlier process of this sweep has left running."""
        self._attached = {directory.name: job for directory, job in pool.attached()}

    def advance(self, pool: Pool) -> bool:
        """Look at all jobs, start new ones; whether there is more to do."""
        self._collect()
        self._fill(pool)
        self._start(pool)
        self._write()
        return bool(self._running or self._pending)

    @contextlib.contextmanager
    def stopping(self) -> Iterator[None]:
        """Take note of how trials ended that were stopped because the sweep ends, also by an error."""
        try:
            yield
        except BaseException:
            self._ending = True
            with contextlib.suppress(HeuraxError):  # the one that ends the sweep is what counts
                self._collect()
                self._write(force=True)
            raise
        self._ending = True
        self._collect()
        self._write(force=True)

    def measure_importance(self) -> None:
        """See `heurax.sweeps.importance`."""
        self._importance = importance(self.table)
        self._write(force=True)

    def _collect(self) -> None:
        """Take note of jobs that have ended, and of how far others are."""
        for running in list(self._running):
            end = running.job.poll()
            if end is None:
                if self._config.search.prunes and not running.pruned:
                    self._report(running)
                continue
            self._running.remove(running)
            for trial in running.trials:
                self._end(running, trial, end)

    def _end(self, running: _Running, trial: Trial, end: Exit) -> None:
        path = self._directory.trial(trial.name)
        outcome = judge(path, end, self._config.metric, running.log_start, running.pruned)
        record = self._records[trial.name]
        seconds = record.seconds + time.time() - running.started
        self._records[trial.name] = replace(record, seconds=round(seconds, 3), **outcome)
        error = outcome["error"]
        if error is not None and is_full_disk(error):
            self._records[trial.name] = replace(self._records[trial.name], status="stopped", error=None)
            raise HeuraxError(f"{error}; make room and run the same command again")
        if outcome["status"] == "stopped" and not self._ending and record.attempts <= self._config.launcher.restarts:
            self._pending.append(trial)
        self._settle(trial.point)

    def _settle(self, point: Point) -> None:
        """Tell the search what came of a point whose trials have all ended."""
        records = [self._records[trial.name] for trial in self._trials[point.index]]
        if not all(record.ended for record in records) or any(record.status == "pruned" for record in records):
            return
        metrics = [record.metric for record in records if record.status == "finished"]
        complete = len(metrics) == len(records)
        worst = math.inf if self._config.metric.goal == "minimize" else -math.inf
        mean = math.fsum(worst if m is None else m for m in metrics) / len(metrics) if complete else None
        self._explorer.tell(point, mean)

    def _fill(self, pool: Pool) -> None:
        """Ask for points, while there is room for their trials or they are known anyway."""
        per_job = self._config.launcher.trials_per_job
        room = pool.slots - len(self._running)
        enough = math.inf if isinstance(self._config.search, ListedSearch) else room * per_job
        while not self._exhausted and len(self._pending) < enough:
            point = self._explorer.ask()
            if point is None:
                self._exhausted = True
            else:
                self._add(point)

    def _add(self, point: Point) -> None:
        """Plan a point's trials; those that have ended are not run again."""
        self._trials[point.index] = trials_of(self._config, point)
        for trial in self._trials[point.index]:
            new = TrialRecord(trial.name, point.index, trial.seed, point.values)
            record = self._records.setdefault(trial.name, new)
            if record.ended and not (record.status == "failed" and self._retry_failed):
                continue
            outcome = judge(self._directory.trial(trial.name), None, self._config.metric)
            self._records[trial.name] = replace(record, **outcome)
            if self._records[trial.name].ended:
                continue
            if (job := self._attached.pop(trial.name, None)) is not None:
                self._run(job, [trial], count=False)
            else:
                self._pending.append(trial)
        self._settle(point)

    def _start(self, pool: Pool) -> None:
        """Submit what there is room for."""
        groups = []
        while self._pending and len(groups) + len(self._running) < pool.slots:
            groups.append(self._group())
        if not groups:
            return
        directories = [[self._directory.prepare(trial) for trial in group] for group in groups]
        for job, group in zip(pool.submit(directories), groups, strict=True):
            self._run(job, group)

    def _run(self, job: Job, trials: list[Trial], count: bool = True) -> None:
        log = self._directory.trial(trials[0].name) / "log.txt"
        self._running.append(_Running(job, trials, time.time(), log.stat().st_size if count and log.exists() else 0))
        for trial in trials:
            record = self._records[trial.name]
            attempts = record.attempts + count
            self._records[trial.name] = replace(record, status="running", attempts=attempts, error=None)

    def _group(self) -> list[Trial]:
        """The next trial, with others that may share its job."""
        first = self._pending.popleft()
        group = [first]
        if (most := self._config.launcher.trials_per_job) > 1:
            shared = signature(first.text)
            for trial in list(self._pending):
                if len(group) < most and signature(trial.text) == shared:
                    group.append(trial)
                    self._pending.remove(trial)
        return group

    def _report(self, running: _Running) -> None:
        """Show the search how far a point is; it may end its trials."""
        [trial] = running.trials
        point, name = trial.point, self._config.metric.name
        trials = self._trials[point.index]
        logs = [read_records(self._directory.trial(trial.name)) for trial in trials]
        curves: list[dict[int, Any]] = [{record["step"]: record.get(name) for record in log} for log in logs]
        for step in sorted(set.intersection(*(set(curve) for curve in curves))):
            if step <= self._reported.get(point.index, 0):
                continue
            self._reported[point.index] = step
            values = [curve[step] for curve in curves]
            mean = math.nan if None in values else math.fsum(values) / len(values)
            if self._explorer.should_prune(point, step, mean):
                self._prune(point)
                return

    def _prune(self, point: Point) -> None:
        self._explorer.prune(point)
        for running in self._running:
            if running.trials[0].point == point:
                running.pruned = True
                running.job.stop()
        for trial in [trial for trial in self._pending if trial.point == point]:
            self._pending.remove(trial)
            self._records[trial.name] = replace(self._records[trial.name], status="pruned")

    def _write(self, force: bool = False) -> None:
        """Bring the table on disk up to date."""
        table = self.table
        if table != self._written or force or time.monotonic() - self._written_at > SECONDS_BETWEEN_TABLES:
            write_table(self._directory.path, table)
            self._written, self._written_at = table, time.monotonic()
