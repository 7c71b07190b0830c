"""The Slurm launcher: trials as jobs of a Slurm cluster, by submitit. Our one door to it."""

import contextlib
import io
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from heurax.errors import HeuraxError
from heurax.files import write_text
from heurax.sweeps.launchers.base import Exit, Job, Launcher, Pool, stop_all
from heurax.sweeps.launchers.process import WorkerProcess

__all__ = ["Slurm"]


@dataclass(frozen=True)
class Slurm(Launcher):
    """Jobs of a Slurm cluster, submitted as arrays. Needs the package `submitit`, and directories that all nodes see.

    A trial that is preempted, or whose time is up, saves, goes back into the queue and resumes from there. Jobs outlive
    a sweep's process that is killed: started again, the sweep takes them over.

    Args:
        executor: `slurm`, or `local` for submitit's processes on this machine, which try a set-up out.
        jobs: submitted at a time, and run at a time by an array; >= 1.
        timeout_min: minutes that one job may take before it saves and goes back into the queue; >= 1.
        restarts: how often it may go back; >= 0.
        options: further parameters of `submitit.AutoExecutor.update_parameters`, such as `{slurm_partition: gpu,
            gpus_per_node: 1, cpus_per_task: 8, mem_gb: 32}`.
    """

    executor: Literal["slurm", "local"] = "slurm"
    jobs: int = 64
    timeout_min: int = 720
    restarts: int = 3
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("jobs", "timeout_min"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.restarts < 0:
            raise ValueError(f"restarts must be >= 0, got {self.restarts}")

    def open(self, directory: Path) -> Pool:
        """See `Launcher.open`."""
        try:
            import submitit
        except ImportError as error:
            raise HeuraxError("launcher Slurm needs the package submitit: pip install 'heurax[sweep]'") from error
        folder = directory.resolve() / "submitit"
        timeouts = {f"{self.executor}_max_num_timeout": self.restarts}
        try:
            executor = submitit.AutoExecutor(folder=folder, cluster=self.executor, **timeouts)
            executor.update_parameters(
                timeout_min=self.timeout_min, name="heurax", slurm_array_parallelism=self.jobs, **self.options
            )
        except (RuntimeError, ValueError, NameError, TypeError, OSError) as error:
            raise HeuraxError(f"launcher Slurm cannot be used: {str(error).splitlines()[0]}") from error
        return SlurmPool(submitit, executor, folder, self)


class SlurmPool(Pool):
    """An executor, and what it has submitted: trials by the id of their job, in `jobs.json`."""

    def __init__(self, submitit: Any, executor: Any, folder: Path, launcher: Slurm) -> None:
        self._submitit, self._executor, self._launcher = submitit, executor, launcher
        self._folder, self._record = folder, folder / "jobs.json"
        self._jobs: list[SlurmJob] = []

    @property
    def slots(self) -> int:
        """See `Slurm.jobs`."""
        return self._launcher.jobs

    def submit(self, jobs: Sequence[Sequence[Path]]) -> list[Job]:
        """As one array, where there are several."""
        tasks = [SlurmTask([str(path.resolve()) for path in directories]) for directories in jobs]
        try:
            with contextlib.redirect_stderr(io.StringIO()), self._executor.batch():  # it prints what it raises as well
                submitted = [self._executor.submit(task) for task in tasks]
            ids = [job.job_id for job in submitted]
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            raise HeuraxError(f"Slurm refuses {len(jobs)} jobs: {_reason(error)}") from error
        known = self._known() | {paths[0].name: job_id for paths, job_id in zip(jobs, ids, strict=True)}
        write_text(self._record, json.dumps(known, indent=1) + "\n")
        added = [SlurmJob(job) for job in submitted]
        self._jobs += added
        return list(added)

    def attached(self) -> list[tuple[Path, Job]]:
        """See `Pool.attached`; submitit's local jobs cannot be found again."""
        if self._launcher.executor == "local":
            return []
        found = [(Path(name), self._submitit.SlurmJob(self._folder, job_id)) for name, job_id in self._known().items()]
        alive = [(path, SlurmJob(job)) for path, job in found if not job.done(force_check=True)]
        self._jobs += [job for _, job in alive]
        return list(alive)

    def __exit__(self, *details: object) -> None:
        """Cancel what still waits or runs; it saves by itself."""
        stop_all(self._jobs)

    def _known(self) -> dict[str, str]:
        return json.loads(self._record.read_text()) if self._record.is_file() else {}


class SlurmJob(Job):
    """A job of submitit's."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._end: Exit | None = None
        self._stopped = False

    def poll(self) -> Exit | None:
        """See `Job.poll`."""
        if self._end is None and self._job.done():
            self._end = self._fetch()
        return self._end

    def stop(self) -> None:
        """See `Job.stop`."""
        if self.poll() is None and not self._stopped:
            self._stopped = True
            self._job.cancel(check=False)

    def wait(self) -> None:
        """See `Job.wait`."""
        self._job.wait()
        self._end = self._end or self._fetch()

    def _fetch(self) -> Exit:
        if self._stopped:
            return Exit(STOPPED)
        error = self._job.exception()
        if error is None:
            return Exit(self._job.result())
        return Exit(1, f"job {self._job.job_id} ended as {self._job.state}; see {self._job.paths.stderr}")


STOPPED = 128 + 15
"""The exit code of a job that was asked to stop."""


class SlurmTask:
    """What runs in a job, which submitit pickles: a worker process, in submitit's protocol for what can be requeued.

    Args:
        directories: of its trials.
    """

    def __init__(self, directories: Sequence[str]) -> None:
        self._directories = list(directories)
        self._process: WorkerProcess | None = None

    def __call__(self) -> int:
        """Run, and return the worker's exit code."""
        self._process = WorkerProcess([Path(path) for path in self._directories], os.environ)
        return self._process.wait()

    def checkpoint(self) -> Any:
        """Save, and say what is to run when the job comes back; called when it is preempted or its time is up."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None:
            self._process.stop()
            self._process.wait()
        return DelayedSubmission(SlurmTask(self._directories))


def _reason(error: BaseException) -> str:
    """What Slurm itself has said, out of submitit's report."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("sbatch:", "slurm"))]
    return (said or lines or [type(error).__name__])[-1]
