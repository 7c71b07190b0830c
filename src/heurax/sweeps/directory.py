"""Sweep directories: who owns one, and what lies where in it."""

import fcntl
from pathlib import Path
from types import TracebackType
from typing import IO

import yaml

from heurax.config import first_difference
from heurax.errors import HeuraxError
from heurax.files import disk_errors, write_text
from heurax.sweeps.trials import Trial

__all__ = ["SweepDirectory"]

FREE = ("launcher",)
"""Fields in which a sweep may differ from what it was when it began: it may go on elsewhere."""


class SweepDirectory:
    """One sweep's directory, held under a lock while it is open.

    Args:
        path: the directory; made if it is not there.
        config: the resolved config as YAML. A directory of another sweep is refused; another launcher is none.

    Raises:
        HeuraxError: on entering, if the directory belongs to another sweep or another process, or cannot be written.
    """

    def __init__(self, path: Path, config: str) -> None:
        self.path = path
        self._config = config
        self._lock: IO[str] | None = None

    def trial(self, name: str) -> Path:
        """The run directory of a trial."""
        return self.path / "trials" / name

    def prepare(self, trial: Trial) -> Path:
        """Make a trial's run directory, with its config in it."""
        path = self.trial(trial.name)
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        if not (path / "config.yaml").is_file():
            write_text(path / "config.yaml", trial.text)
        return path

    def __enter__(self) -> "SweepDirectory":
        self._check_owner()
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise HeuraxError(f"another process runs the sweep in {self.path}; wait for it, or stop it") from error
        write_text(self.path / "sweep.yaml", self._config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def _check_owner(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise HeuraxError(f"{self.path} is a file; give a directory for the sweep")
        path = self.path / "sweep.yaml"
        if not path.is_file():
            strangers = sorted(p.name for p in self.path.glob("*")) if self.path.is_dir() else []
            if strangers:
                raise HeuraxError(
                    f"{self.path} is not a sweep directory: it has {strangers[0]} but no sweep.yaml; give another --out"
                )
            return
        try:
            theirs = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise HeuraxError(f"{path} cannot be read, so the sweep cannot go on: {error}") from error
        ours = yaml.safe_load(self._config)
        difference = first_difference(_fixed(ours), _fixed(theirs))
        if difference is not None:
            name, here, there = difference
            raise HeuraxError(
                f"{self.path} belongs to another sweep: {name} is {there!r} there and {here!r} here; give another --out"
            )


def _fixed(config: dict) -> dict:
    return {name: value for name, value in config.items() if name not in FREE}
