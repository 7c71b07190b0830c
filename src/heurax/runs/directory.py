"""Run directories: who owns one, and what lies where in it."""

import fcntl
from pathlib import Path
from types import TracebackType
from typing import IO

import yaml

from heurax.config import first_difference
from heurax.errors import HeuraxError
from heurax.files import disk_errors, write_text
from heurax.runs.distributed import is_first_process, wait_for_all

__all__ = ["RunDirectory"]


class RunDirectory:
    """One run's directory, held under a lock while it is open.

    Layout: `config.yaml`, `metrics.jsonl`, TensorBoard events under `tensorboard/`, orbax checkpoints under
    `checkpoints/`, the discovered rule under `artifact/`, `summary.json`, and what it takes to make the run again:
    `provenance.json`, with `uncommitted.diff` where the code was not that of a commit. A profiled run has a `profile/`.

    Args:
        path: the directory; made if it is not there.
        config: the resolved config as YAML. A directory that holds another config is refused.

    Raises:
        HeuraxError: on entering, if the directory belongs to another config or another process, or cannot be written.
    """

    def __init__(self, path: Path, config: str) -> None:
        self.path = path
        self._config = config
        self._lock: IO[str] | None = None

    @property
    def metrics(self) -> Path:
        """One JSON record per line."""
        return self.path / "metrics.jsonl"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints by outer step."""
        return self.path / "checkpoints"

    @property
    def artifact(self) -> Path:
        """The discovered rule."""
        return self.path / "artifact"

    @property
    def summary(self) -> Path:
        """What the run came to."""
        return self.path / "summary.json"

    def __enter__(self) -> "RunDirectory":
        self._check_owner()
        wait_for_all("every process has seen whose run directory it is")
        if not is_first_process():
            return self
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise HeuraxError(f"another process is training in {self.path}; wait for it, or stop it") from error
        config_path = self.path / "config.yaml"
        if not config_path.exists():
            write_text(config_path, self._config)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def _check_owner(self) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise HeuraxError(f"{self.path} is a file; give a directory for the run")
        config_path = self.path / "config.yaml"
        if not config_path.is_file():
            strangers = sorted(p.name for p in self.path.glob("*")) if self.path.is_dir() else []
            if strangers:
                raise HeuraxError(
                    f"{self.path} is not a run directory: it has {strangers[0]} but no config.yaml; "
                    "give another run_dir"
                )
            return
        try:
            theirs = yaml.safe_load(config_path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise HeuraxError(f"{config_path} cannot be read, so {self.path} cannot be resumed: {error}") from error
        difference = first_difference(yaml.safe_load(self._config), theirs)
        if difference is not None:
            name, ours, other = difference
            raise HeuraxError(
                f"{self.path} belongs to another config: {name} is {other!r} there and {ours!r} here; "
                "give another run_dir"
            )
