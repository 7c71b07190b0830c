"""The local launcher: a pool of processes on this machine, each with its share of the cores or a GPU of its own."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from heurax.errors import HeuraxError
from heurax.sweeps.launchers.base import Exit, Job, Launcher, Pool, stop_all
from heurax.sweeps.launchers.process import WorkerProcess

__all__ = ["Local"]


@dataclass(frozen=True)
class Local(Launcher):
    """Processes on this machine.

    Args:
        processes: at a time; >= 1. Null for one per GPU, or, where there is none, one per core; one in all if trials
            run together.
        gpus: ids of those to use, one per process in turn, as in CUDA_VISIBLE_DEVICES; null for all that
            `nvidia-smi` lists, none of them for CPUs alone. Processes that share a GPU share its memory evenly.
        together: trials that run in one process as one program, where they differ in nothing but seed,
            `outer.optimizer.learning_rate` and `outer.estimator.sigma`; >= 1. Their numbers differ from those of
            trials on their own by rounding.
    """

    processes: int | None = None
    gpus: list[str] | None = None
    together: int = 1

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes must be >= 1 or null, got {self.processes}")
        if self.together < 1:
            raise ValueError(f"together must be >= 1, got {self.together}")

    @property
    def trials_per_job(self) -> int:
        """See `Launcher.trials_per_job`."""
        return self.together

    def open(self, directory: Path) -> Pool:
        """See `Launcher.open`."""
        gpus = visible_gpus() if self.gpus is None else self.gpus
        cores = sorted(os.sched_getaffinity(0))
        processes = self.processes or (1 if self.together > 1 else len(gpus) or len(cores))
        environments = [slot_environment(slot, processes, gpus, directory) for slot in range(processes)]
        return LocalPool(environments, [share(cores, slot, processes) for slot in range(processes)])


class LocalPool(Pool):
    """Slots, each with its environment and cores."""

    def __init__(self, environments: Sequence[dict[str, str]], cores: Sequence[Sequence[int]]) -> None:
        self._environments, self._cores = environments, cores
        self._jobs: dict[int, LocalJob] = {}

    @property
    def slots(self) -> int:
        """Number of processes."""
        return len(self._environments)

    def submit(self, jobs: Sequence[Sequence[Path]]) -> list[Job]:
        """Start each in a free slot."""
        started: list[Job] = []
        for directories in jobs:
            slot = next(i for i in range(self.slots) if i not in self._jobs or self._jobs[i].poll() is not None)
            options = ["--cores", ",".join(map(str, self._cores[slot]))]
            job = LocalJob(WorkerProcess(directories, self._environments[slot], options))
            self._jobs[slot] = job
            started.append(job)
        return started

    def __exit__(self, *details: object) -> None:
        """Stop what still runs, and wait for it to have saved."""
        stop_all(self._jobs.values())


class LocalJob(Job):
    """A process."""

    def __init__(self, process: WorkerProcess) -> None:
        self._process = process

    def poll(self) -> Exit | None:
        """See `Job.poll`."""
        code = self._process.poll()
        return None if code is None else Exit(code)

    def stop(self) -> None:
        """See `Job.stop`."""
        self._process.stop()

    def wait(self) -> None:
        """See `Job.wait`."""
        self._process.wait()


def visible_gpus() -> list[str]:
    """Ids of the GPUs that this process may use: CUDA_VISIBLE_DEVICES, or all that there are."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu]
    program = shutil.which("nvidia-smi")
    if program is None or os.environ.get("JAX_PLATFORMS") == "cpu":
        return []
    query = [program, "--query-gpu=index", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    except (OSError, subprocess.SubprocessError) as error:
        raise HeuraxError(f"nvidia-smi cannot list GPUs ({error}); name them: launcher.gpus") from error


def slot_environment(slot: int, processes: int, gpus: Sequence[str], directory: Path) -> dict[str, str]:
    """Environment variables of the processes in a slot: its GPU and that one's memory, or CPUs and a compile cache.

    Trials that differ in the seed alone are one program: on CPUs, it is compiled once and kept in the sweep directory.
    """
    environment = dict(os.environ)
    if not gpus:
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str((directory / "cache").resolve()))
        return environment
    environment["CUDA_VISIBLE_DEVICES"] = gpus[slot % len(gpus)]
    sharing = len(range(slot % len(gpus), processes, len(gpus)))
    if sharing > 1:
        environment.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / sharing:.3f}")
    return environment


def share(cores: Sequence[int], slot: int, processes: int) -> list[int]:
    """The cores of a slot: all of them, shared out evenly; one at least, which others may have too.

    >>> [share([0, 1, 2, 3], slot, 2) for slot in range(2)]
    [[0, 1], [2, 3]]
    >>> [share([0, 1], slot, 3) for slot in range(3)]
    [[0], [1], [0]]
    """
    if processes >= len(cores):
        return [cores[slot % len(cores)]]
    bounds = [round(i * len(cores) / processes) for i in (slot, slot + 1)]
    return list(cores[bounds[0] : bounds[1]])
