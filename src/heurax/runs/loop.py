"""The host's side of meta-training: compile once, advance, log, save, stop cleanly, resume exactly."""

import contextlib
import dataclasses
import json
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from heurax import artifacts
from heurax.errors import HeuraxError
from heurax.files import write_text
from heurax.runs.checkpoints import Checkpoints
from heurax.runs.config import TrainConfig
from heurax.runs.devices import OuterProgram, peak_memory, tasks_mesh
from heurax.runs.directory import RunDirectory
from heurax.runs.distributed import any_process, is_first_process, lost_process
from heurax.runs.feed import Feed
from heurax.runs.profiling import write_profile
from heurax.runs.progress import RunProgress
from heurax.runs.provenance import environment, provenance, write_provenance
from heurax.runs.signals import StopRequest, stop_on_signals
from heurax.runs.tracking import JsonLines, TensorBoard, Tracker

__all__ = ["Summary", "check_finite", "open_trackers", "train", "write_results"]


@dataclass(frozen=True)
class Summary:
    """What a call of `train` came to; written to `summary.json`.

    Attributes:
        status: `finished`, or `stopped` by a signal.
        outer_steps: made so far, over all calls.
        meta_loss: mean over the last dispatch; None if this call made no step.
        inner_steps: made so far, over all calls and lifetimes.
        outer_steps_per_second: of this call, compilation left out.
        inner_steps_per_second: likewise.
        compile_seconds: of the outer step.
        run_seconds: of the loop in this call.
        memory_bytes_per_device: peak on the device of this process that needed most; see `peak_memory`.
        num_devices: over which tasks were sharded.
        environment: versions, code, device.
        stopped_by: the signal that asked for a stop, if any; not written.
    """

    status: str
    outer_steps: int
    meta_loss: float | None
    inner_steps: int
    outer_steps_per_second: float
    inner_steps_per_second: float
    compile_seconds: float
    run_seconds: float
    memory_bytes_per_device: int
    num_devices: int
    environment: dict[str, Any]
    stopped_by: signal.Signals | None = None


def train(
    config: TrainConfig,
    run_dir: Path,
    config_text: str,
    console: Console | None = None,
    *,
    profile: bool = False,
) -> Summary:
    """Meta-train in a run directory; resume if it holds a run of the same config.

    Args:
        config: the run.
        run_dir: its directory, made if it is not there.
        config_text: the resolved config as YAML, which names the run's owner.
        console: where progress is shown; standard error if None.
        profile: whether a trace of a few outer steps is written under `profile/` before the run goes on.

    Returns:
        What it came to.

    Raises:
        HeuraxError: the directory belongs to another run, a checkpoint is damaged, the disk is full, or `theta` is no
            longer finite. What was on disk before is still there.
    """
    console = console or Console(stderr=True, quiet=not is_first_process())
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(RunDirectory(run_dir, config_text))
        checkpoints = stack.enter_context(Checkpoints(directory.checkpoints, config.keep_checkpoints))
        stop = stack.enter_context(stop_on_signals())
        return _run(config, config_text, directory, checkpoints, stop, console, profile)


def _run(
    config: TrainConfig,
    config_text: str,
    directory: RunDirectory,
    checkpoints: Checkpoints,
    stop: StopRequest,
    console: Console,
    profile: bool,
) -> Summary:
    total = config.outer.num_steps
    inner_steps = config.outer.inner_steps(config.inner)
    mesh = tasks_mesh(config.outer.num_tasks)
    program = OuterProgram(config.inner, config.outer, mesh, config.steps_per_dispatch)

    latest = checkpoints.latest_step
    if latest == total and directory.summary.is_file() and directory.artifact.is_dir():
        return Summary(**json.loads(directory.summary.read_text()))
    step = latest or 0
    state = program.init(config.seed) if latest is None else checkpoints.restore(latest, program.abstract_state())
    if latest is not None:
        console.print(f"resuming {directory.path} at outer step {step:,}", highlight=False)
    if is_first_process():
        write_provenance(directory.path, config)
    with console.status("compiling the outer step"):
        started = time.monotonic()
        advance = program.compile()
        compile_seconds = time.monotonic() - started
    devices = f"{mesh.size} {jax.devices()[0].device_kind} device{'s' if mesh.size > 1 else ''}"
    memory = f"{advance.planned_memory / 1e6:,.1f} MB each"
    console.print(f"compiled the outer step in {compile_seconds:.1f} s for {devices}, {memory}", highlight=False)

    if profile and step < total:
        trace = write_profile(program, state, directory.path / "profile")
        console.print(f"traced {trace}", highlight=False, soft_wrap=True)

    meta_loss = None
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        trackers = open_trackers(config, config_text, directory, step)
        for tracker in trackers:
            stack.callback(tracker.close)
        progress = stack.enter_context(RunProgress(console, total, step, inner_steps))
        feed = stack.enter_context(
            Feed(program.streams, mesh, None if latest is None else checkpoints.feed_place(latest))
        )
        stack.enter_context(_lost_processes(checkpoints))
        first = step
        while step < total and not any_process(bool(stop)):
            state, metrics = advance(state, feed.take())
            record = {name: float(np.mean(values)) for name, values in jax.device_get(metrics).items()}
            step += config.steps_per_dispatch
            check_finite(record, step, checkpoints)
            meta_loss = record["meta_loss"]
            seconds = time.monotonic() - started
            for tracker in trackers:
                tracker.log(step, {**record, "outer_steps_per_second": (step - first) / seconds})
            progress.update(step, meta_loss)
            if step % config.checkpoint_every == 0 and step < total:
                checkpoints.save(step, state, feed.place)
    seconds = max(time.monotonic() - started, 1e-9)

    if checkpoints.latest_step != step:
        checkpoints.save(step, state, feed.place)
    rate = (step - first) / seconds
    summary = Summary(
        status="finished" if step == total else "stopped",
        outer_steps=step,
        meta_loss=meta_loss,
        inner_steps=step * inner_steps,
        outer_steps_per_second=rate,
        inner_steps_per_second=rate * inner_steps,
        compile_seconds=compile_seconds,
        run_seconds=seconds,
        memory_bytes_per_device=peak_memory(advance.planned_memory, mesh.local_devices),
        num_devices=mesh.size,
        environment=environment(),
        stopped_by=stop.signal,
    )
    if is_first_process():
        write_results(config, config_text, directory, state.theta, summary)
    return summary


def open_trackers(config: TrainConfig, config_text: str, directory: RunDirectory, step: int) -> list[Tracker]:
    """Where the records of a run go, from an outer step on; nowhere on any process but the first."""
    if not is_first_process():
        return []
    trackers: list[Tracker] = [JsonLines(directory.metrics, step)]
    if config.tensorboard:
        trackers.append(TensorBoard(directory.tensorboard, step))
    trackers += [tracking.open(directory.path, config_text, step) for tracking in config.track]
    return trackers


@contextlib.contextmanager
def _lost_processes(checkpoints: Checkpoints) -> Iterator[None]:
    """Say so when a computation fails because another process of the run has ended."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise lost_process(checkpoints.latest_step) from error


def check_finite(record: dict[str, float], step: int, checkpoints: Checkpoints) -> None:
    """Stop before a broken `theta` is saved.

    Raises:
        HeuraxError: `theta` is not finite.
    """
    if math.isfinite(record["theta_norm"]):
        return
    latest = checkpoints.latest_step
    kept = "no checkpoint was saved before" if latest is None else f"checkpoint {latest} is from before"
    raise HeuraxError(
        f"meta-training diverged by outer step {step}: theta is not finite; {kept}; "
        "lower outer.optimizer.learning_rate or clip the meta-gradient (outer.optimizer.clip_norm)"
    )


def write_results(config: TrainConfig, config_text: str, directory: RunDirectory, theta: Any, summary: Summary) -> None:
    """Write the artifact and the summary of a run."""
    described = {k: v for k, v in dataclasses.asdict(summary).items() if k != "stopped_by"}
    origin = provenance(config_text, config.seed, summary.outer_steps) | {"meta_loss": summary.meta_loss}
    rule = config.inner.rule
    artifacts.save(directory.artifact, artifacts.Artifact(rule, jax.device_get(theta), origin), overwrite=True)
    write_text(directory.summary, json.dumps(described, indent=2) + "\n")
