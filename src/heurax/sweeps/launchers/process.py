"""The process that runs a job, on whatever machine it was started."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from heurax.files import disk_errors

__all__ = ["WorkerProcess"]


class WorkerProcess:
    """A process of `heurax.sweeps.worker`, which saves and ends when its standard input does.

    That is how it is stopped; and because the input ends also when whoever started it is killed, it does not
    outlive them.

    Args:
        directories: of its trials; what it prints goes to `log.txt` of the first.
        environment: its environment variables.
        options: of `heurax.sweeps.worker`.
    """

    def __init__(
        self, directories: Sequence[Path], environment: Mapping[str, str], options: Sequence[str] = ()
    ) -> None:
        log = directories[0] / "log.txt"
        command = [sys.executable, "-m", "heurax.sweeps.worker", "--end-with-input", *options, *map(str, directories)]
        with disk_errors(log), log.open("a") as output:
            self._process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the sweep, which tells its jobs
            )

    def poll(self) -> int | None:
        """Its exit code, negative for the signal that killed it; None while it runs."""
        return self._process.poll()

    def stop(self) -> None:
        """Ask it to save and end."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def wait(self) -> int:
        """Wait for its end; what interrupts the waiting stops it, and waits until it has saved.

        Returns:
            Its exit code, as of `poll`.
        """
        try:
            while (code := self.poll()) is None:
                time.sleep(0.1)  # a blocking wait would not see an interrupt that is no signal, as Ray's are not
            return code
        except BaseException:
            self.stop()
            self._process.wait()
            raise
