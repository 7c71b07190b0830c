"""Launchers: where the trials of a sweep run.

A `Launcher` is a description. Opened, it is a `Pool`, which takes lists of trial directories: each becomes a `Job`, a
process `python -m heurax.sweeps.worker DIRECTORY...` somewhere. All that a sweep knows of a job is whether it has
ended, with which exit code, and how to ask it to stop; everything else is in the trials' run directories, which must
therefore be seen from every machine under the same path.
"""

import abc
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["Exit", "Job", "Launcher", "Pool", "stop_all"]


class Exit(NamedTuple):
    """How a job ended.

    Attributes:
        code: its exit code: 0 done, 128 plus a signal's number saved and stopped, or negative for the signal's that
            killed it.
        reason: what is known where the process itself could say nothing.
    """

    code: int
    reason: str = ""


class Job(abc.ABC):
    """A process that runs one trial, or several together."""

    @abc.abstractmethod
    def poll(self) -> Exit | None:
        """How it ended; None while it has not."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ask it to save and end, if it has not been asked."""

    @abc.abstractmethod
    def wait(self) -> None:
        """Wait for its end."""


class Pool(contextlib.AbstractContextManager, abc.ABC):
    """Runs jobs while it is open; what still runs when it closes is stopped."""

    @property
    @abc.abstractmethod
    def slots(self) -> int:
        """Jobs that should be submitted at a time."""

    @abc.abstractmethod
    def submit(self, jobs: Sequence[Sequence[Path]]) -> list[Job]:
        """Start jobs, or queue them.

        Args:
            jobs: the trial directories of each.

        Raises:
            HeuraxError: they are refused.
        """

    def attached(self) -> list[tuple[Path, Job]]:
        """Jobs of one trial each that an earlier process of the sweep has left, and that have not ended."""
        return []


def stop_all(jobs: Iterable[Job]) -> None:
    """Stop those that still run, and wait for them to have saved."""
    running = [job for job in jobs if job.poll() is None]
    for job in running:
        job.stop()
    for job in running:
        job.wait()


class Launcher(abc.ABC):
    """Where trials run; a frozen dataclass."""

    @property
    def trials_per_job(self) -> int:
        """Trials that may share a job where they differ in nothing but traced values."""
        return 1

    @property
    def restarts(self) -> int:
        """How often a trial is started again whose process was stopped, or lost, by no doing of the sweep's."""
        return 0

    @abc.abstractmethod
    def open(self, directory: Path) -> Pool:
        """Begin.

        Args:
            directory: of the sweep.

        Raises:
            HeuraxError: a package that it needs is not installed, or what it runs on cannot be reached.
        """
