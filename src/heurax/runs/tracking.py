"""Tracking: where the records of a run go. JSON lines always, TensorBoard beside them, other services by choice."""

import abc
import contextlib
import json
import math
import time
from pathlib import Path

from heurax.files import disk_errors, write_text

__all__ = ["JsonLines", "TensorBoard", "Tracker", "Tracking"]


class Tracker(abc.ABC):
    """Takes one flat record per logged step."""

    @abc.abstractmethod
    def log(self, step: int, record: dict[str, float]) -> None:
        """Add a record."""

    @abc.abstractmethod
    def close(self) -> None:
        """Finish writing."""


class Tracking(abc.ABC):
    """A service that takes records as well; a frozen dataclass."""

    @abc.abstractmethod
    def open(self, run_dir: Path, config_text: str, resume_step: int) -> Tracker:
        """Begin, or go on.

        Args:
            run_dir: of the run.
            config_text: its resolved config as YAML.
            resume_step: the outer step after which records come; those after it may have been logged before.

        Raises:
            HeuraxError: the service's package is not installed, or the service refuses.
        """


class JsonLines(Tracker):
    """Appends records to a file, one JSON object a line. Numbers that are not finite become null.

    Args:
        path: the file.
        resume_step: records after this outer step are dropped first: they were logged by a process that died before
            its next checkpoint, and will be logged again.
    """

    def __init__(self, path: Path, resume_step: int) -> None:
        self._path = path
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= resume_step]
        write_text(path, "".join(line + "\n" for line in kept))
        with disk_errors(path):
            self._file = path.open("a")

    def log(self, step: int, record: dict[str, float]) -> None:
        """See `Tracker.log`."""
        values = {name: value if math.isfinite(value) else None for name, value in record.items()}
        with disk_errors(self._path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()

    def close(self) -> None:
        """See `Tracker.close`."""
        self._file.close()


class TensorBoard(Tracker):
    """Writes TensorBoard events.

    Through tensorboardX's synchronous writer: its `SummaryWriter` hands events to a thread, and waits for that thread
    for ever once a full disk has ended it.

    Args:
        directory: where they lie.
        resume_step: events after this outer step are purged.
    """

    def __init__(self, directory: Path, resume_step: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter  # imports protobuf; needed only here
        from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore # generated at import
        from tensorboardX.summary import scalar

        self._directory, self._event, self._scalar = directory, Event, scalar
        with disk_errors(directory):
            directory.mkdir(exist_ok=True)
            self._writer = EventsWriter(str(directory / "events"), filename_suffix=f".{resume_step}")
            if resume_step:
                start = SessionLog(status=SessionLog.START)
                self._writer.write_event(Event(step=resume_step + 1, wall_time=time.time(), session_log=start))

    def log(self, step: int, record: dict[str, float]) -> None:
        """See `Tracker.log`."""
        with disk_errors(self._directory):
            for name, value in record.items():
                summary = self._scalar(name, value)
                self._writer.write_event(self._event(step=step, wall_time=time.time(), summary=summary))
            self._writer.flush()

    def close(self) -> None:
        """See `Tracker.close`."""
        with disk_errors(self._directory):
            self._writer.close()


def _lines(path: Path) -> list[str]:
    """Complete records of a log; a process that was killed may have left half a line."""
    complete = []
    if path.is_file():
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                json.loads(line)
                complete.append(line)
    return complete
