"""The process of a job: `python -m heurax.sweeps.worker TRIAL_DIRECTORY...`, wherever a launcher starts it.

Trains in a trial's directory by the config that lies there, as `heurax train` does, or in several together.
"""

import argparse
import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from heurax.errors import HeuraxError

__all__ = ["main"]

USER_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Train.

    Returns:
        The exit code: 0 finished, 2 with a sentence on standard error, 128 + a signal's number if it asked to stop.
    """
    parser = argparse.ArgumentParser(prog="heurax.sweeps.worker", description=__doc__)
    parser.add_argument("directories", type=Path, nargs="+", help="of trials, each with its config.yaml")
    parser.add_argument("--cores", help="numbers of the cores to run on, with commas between")
    parser.add_argument("--end-with-input", action="store_true", help="stop as by SIGTERM when standard input ends")
    options = parser.parse_args(arguments)
    if options.cores:
        os.sched_setaffinity(0, map(int, options.cores.split(",")))
    if options.end_with_input:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        for directory in options.directories:
            _wait_for_lock(directory)
        return _train(options.directories)
    except HeuraxError as error:
        print(f"heurax: error: {error}", file=sys.stderr)
        return USER_ERROR


def _train(directories: Sequence[Path]) -> int:
    from heurax.config import read_config
    from heurax.runs import TrainConfig, initialize, split_cpu, train
    from heurax.sweeps.together import train_together

    split_cpu(None)
    initialize()
    console = Console(stderr=True, width=200)
    runs = [read_config(TrainConfig, directory / "config.yaml") for directory in directories]
    if len(directories) > 1:
        stopped_by = train_together([config for config, _ in runs], directories, [text for _, text in runs], console)
        return 0 if stopped_by is None else 128 + stopped_by
    [(config, text)] = runs
    summary = train(config, directories[0], text, console)
    stopped = summary.status == "stopped" and summary.stopped_by is not None
    return 128 + summary.stopped_by if stopped and summary.stopped_by else 0


def _end_with_input() -> None:
    """Wait until whoever started this process is gone, then stop as by SIGTERM."""
    while os.read(sys.stdin.fileno(), 4096):  # not through a buffer, whose lock would outlive the interpreter
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_lock(directory: Path) -> None:
    """Wait for a former process of this trial, which saves still, or goes on where it outlives its sweep."""
    path = directory / ".lock"
    told = False
    while path.exists():
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if not told:
                    print(f"another process is training in {directory}; waiting for it to end", flush=True)
                told = True
        time.sleep(0.1)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code:
        os._exit(code)  # exit handlers of libraries would bury the message
    sys.exit(code)
