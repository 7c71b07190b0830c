"""The Ray launcher: trials as tasks of a Ray cluster. Our one door to Ray."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heurax.errors import HeuraxError
from heurax.sweeps.launchers.base import Exit, Job, Launcher, Pool, stop_all
from heurax.sweeps.launchers.process import WorkerProcess

__all__ = ["Ray"]


@dataclass(frozen=True)
class Ray(Launcher):
    """Tasks of a Ray cluster. Needs the package `ray`, and heurax and the sweep directory on every node.

    A task whose node is lost is started by Ray on another one, where the trial resumes from its latest checkpoint.

    Args:
        address: of the cluster, such as `10.0.0.1:6379`; `auto` for the one that this machine is part of; null starts
            one on this machine for the time of the sweep.
        cpus: cores per trial; > 0. As many virtual devices share out its lifetimes.
        gpus: GPUs per trial; >= 0. Where less than 1, trials share a GPU and its memory.
        restarts: how often a trial is started again whose node was lost, or whose process was stopped; >= 0.
    """

    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    restarts: int = 3

    def __post_init__(self) -> None:
        if not self.cpus > 0:
            raise ValueError(f"cpus must be > 0, got {self.cpus}")
        if self.gpus < 0:
            raise ValueError(f"gpus must be >= 0, got {self.gpus}")
        if self.restarts < 0:
            raise ValueError(f"restarts must be >= 0, got {self.restarts}")

    def open(self, directory: Path) -> Pool:
        """See `Launcher.open`."""
        del directory  # unused: Ray keeps its files elsewhere
        try:
            import ray
        except ImportError as error:
            raise HeuraxError("launcher Ray needs the package ray: pip install 'heurax[ray]'") from error
        where = "a local cluster" if self.address is None else f"the cluster at {self.address}"
        try:
            options: dict[str, Any] = {"include_dashboard": False} if self.address is None else {}
            ray.init(self.address or "local", log_to_driver=False, logging_level=logging.ERROR, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise HeuraxError(f"Ray cannot use {where}: {str(error).strip().splitlines()[0]}") from error
        pool = RayPool(ray, self)
        if pool.slots == 0:
            ray.shutdown()
            raise HeuraxError(f"{where} has no room for a trial of {self.cpus:g} cores and {self.gpus:g} GPUs")
        return pool


class RayPool(Pool):
    """A connection to a cluster."""

    def __init__(self, ray: Any, launcher: Ray) -> None:
        self._ray, self._launcher = ray, launcher
        task = ray.remote(num_cpus=launcher.cpus, num_gpus=launcher.gpus, max_retries=launcher.restarts)
        self._run = task(_run_worker)
        self._jobs: list[RayJob] = []

    @property
    def slots(self) -> int:
        """As many as the nodes that are there now have room for."""
        there = self._ray.cluster_resources()
        room = there.get("CPU", 0.0) / self._launcher.cpus
        if self._launcher.gpus:
            room = min(room, there.get("GPU", 0.0) / self._launcher.gpus)
        return int(room)

    def submit(self, jobs: Sequence[Sequence[Path]]) -> list[Job]:
        """See `Pool.submit`."""
        added = []
        for directories in jobs:
            paths = [str(path.resolve()) for path in directories]
            added.append(RayJob(self._ray, self._run.remote(paths, self._launcher.cpus, self._launcher.gpus)))
        self._jobs += added
        return list(added)

    def __exit__(self, *details: object) -> None:
        """Stop what still runs, wait for it to have saved, and leave the cluster."""
        stop_all(self._jobs)
        self._ray.shutdown()


class RayJob(Job):
    """A task."""

    def __init__(self, ray: Any, result: Any) -> None:
        self._ray, self._result = ray, result
        self._end: Exit | None = None

    def poll(self) -> Exit | None:
        """See `Job.poll`."""
        if self._end is None:
            ready, _ = self._ray.wait([self._result], timeout=0)
            if ready:
                self._end = self._fetch()
                self._result = None
        return self._end

    def stop(self) -> None:
        """See `Job.stop`."""
        if self._end is None:
            self._ray.cancel(self._result)

    def wait(self) -> None:
        """See `Job.wait`."""
        if self._end is None:
            self._end = self._fetch()

    def _fetch(self) -> Exit:
        exceptions = self._ray.exceptions
        try:
            return Exit(self._ray.get(self._result))
        except exceptions.TaskCancelledError:
            return Exit(STOPPED)
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
            return Exit(1, f"Ray has lost it, and started it again in vain: {_first_line(error)}")
        except exceptions.RayError as error:
            return Exit(1, f"Ray could not run it: {_first_line(error)}")


STOPPED = 128 + 15
"""The exit code of a job that was asked to stop."""


def _run_worker(directories: list[str], cpus: float, gpus: float) -> int:
    """The task: runs on a node, and sees the GPUs that Ray has given it."""
    environment = dict(os.environ)
    if gpus == 0:
        environment.setdefault("JAX_NUM_CPU_DEVICES", str(max(1, int(cpus))))
    elif gpus < 1:
        environment.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 * gpus:.3f}")
    return WorkerProcess([Path(path) for path in directories], environment).wait()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
