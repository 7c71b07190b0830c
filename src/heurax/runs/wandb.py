"""Weights & Biases as a tracker: our one door to it."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from heurax.errors import HeuraxError
from heurax.files import disk_errors, write_text
from heurax.runs.tracking import Tracker, Tracking

__all__ = ["WandB"]


@dataclass(frozen=True)
class WandB(Tracking):
    """Weights & Biases. Needs the package `wandb`.

    A run that is resumed goes on as the same run there. Records after its checkpoint come a second time, with the same
    numbers; Weights & Biases keeps the first.

    Args:
        project: that the run belongs to.
        entity: user or team; null for the account's own.
        name: of the run; null for that of its directory.
        mode: `online`, or `offline` to write files under `wandb/` of the run directory, which `wandb sync` uploads.
        tags: of the run.
    """

    project: str = "heurax"
    entity: str | None = None
    name: str | None = None
    mode: Literal["online", "offline"] = "online"
    tags: list[str] = field(default_factory=list, hash=False)

    def open(self, run_dir: Path, config_text: str, resume_step: int) -> Tracker:
        """See `Tracking.open`."""
        del resume_step  # unused: see above
        try:
            import wandb
        except ImportError as error:
            raise HeuraxError("tracking by WandB needs the package wandb: pip install 'heurax[track]'") from error
        directory = run_dir / "wandb"
        with disk_errors(directory):
            directory.mkdir(exist_ok=True)
        identity = directory / "run_id"
        if not identity.is_file():
            write_text(identity, uuid.uuid4().hex[:8])
        try:
            run = wandb.init(
                project=self.project,
                entity=self.entity,
                name=self.name or run_dir.resolve().name,
                mode=self.mode,
                tags=self.tags,
                id=identity.read_text(),
                resume="allow",
                dir=str(run_dir),
                config=yaml.safe_load(config_text),
                settings=wandb.Settings(silent=True, console="off"),
            )
        except (wandb.Error, OSError) as error:
            raise HeuraxError(f"Weights & Biases cannot be used: {str(error).strip().splitlines()[0]}") from error
        return WandBTracker(run)


class WandBTracker(Tracker):
    """Logs records to a run of Weights & Biases."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, step: int, record: dict[str, float]) -> None:
        """See `Tracker.log`."""
        self._run.log(record, step=step)

    def close(self) -> None:
        """See `Tracker.close`."""
        self._run.finish()
