"""Several trials as one program: their states stacked, mapped over, and sharded over devices by trial.

What trials may differ in is a seed, and values that are arguments of the program instead of constants in it
(`heurax.sweeps.trials.TRACEABLE`). Each ends with the run directory that it would have on its own, and one that was
begun together can go on alone, or the other way round. Numbers are those of trials on their own up to rounding, which a
long meta-training run may amplify.
"""

import contextlib
import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from rich.console import Console

from heurax.errors import HeuraxError
from heurax.outer.tasks_axis import map_tasks
from heurax.runs import Summary, TrainConfig
from heurax.runs.checkpoints import Checkpoints
from heurax.runs.devices import compile_on, device_mesh, peak_memory, planned_memory, uncollected
from heurax.runs.directory import RunDirectory
from heurax.runs.loop import check_finite, open_trackers, write_results
from heurax.runs.progress import RunProgress
from heurax.runs.provenance import environment, write_provenance
from heurax.runs.signals import stop_on_signals
from heurax.runs.tracking import Tracker
from heurax.sweeps.trials import TRACEABLE
from heurax.tasks.datasets.stream import streams_in

__all__ = ["TrialsProgram", "train_together"]

AXIS = "trials"


@dataclass(frozen=True)
class TrialsProgram:
    """The outer loop of several trials, as two compiled programs: `init`, and several outer steps at once.

    Args:
        configs: of the trials; alike but for traceable values.
        mesh: over which trials are sharded; its size divides their number.
    """

    configs: tuple[TrainConfig, ...]
    mesh: Mesh

    @property
    def sharding(self) -> NamedSharding:
        """Of every array of the state: by trial."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))

    def init(self) -> Any:
        """The trials' states before the first outer step, stacked."""
        seeds = np.asarray([config.seed for config in self.configs], np.uint32)
        first = self.configs[0]
        one = lambda seed: first.outer.init(first.inner, jax.random.key(seed))  # noqa: E731 # is vmapped
        return jax.jit(self._shard(jax.vmap(one)))(jax.device_put(seeds, self.sharding))

    def abstract_state(self) -> Any:
        """Shapes and dtypes of one trial's state."""
        first = self.configs[0]
        return jax.eval_shape(lambda: first.outer.init(first.inner, jax.random.key(0)))

    def stack(self, states: Sequence[Any]) -> Any:
        """The states of all trials as one, on the mesh."""
        return jax.tree.map(lambda *leaves: jax.device_put(jnp.stack(leaves), self.sharding), *states)

    def compile(self) -> jax.stages.Compiled:
        """`advance`: (stacked states, `values()`) to (stacked states, metrics `[trials, steps]`); donates states."""
        first = self.configs[0]

        def steps(state: Any, values: dict[str, jax.Array]) -> tuple[Any, Any]:
            outer = with_values(first, values).outer
            return jax.lax.scan(
                lambda state, _: outer.step(first.inner, state), state, None, length=first.steps_per_dispatch
            )

        def all_steps(states: Any, values: dict[str, jax.Array]) -> tuple[Any, Any]:
            return map_tasks(steps, states, values, size=first.outer.num_tasks)

        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((len(self.configs), *x.shape), x.dtype, sharding=self.sharding),
            self.abstract_state(),
        )
        with uncollected():
            lowered = jax.jit(self._shard(all_steps), donate_argnums=0).lower(abstract, self.values())
        return compile_on(self.mesh, lowered)

    def values(self) -> dict[str, jax.Array]:
        """The values of every field in which the trials differ, the seed aside, `[trials]`."""
        found = {name: [_get(config, name) for config in self.configs] for name in TRACEABLE if name != "seed"}
        return {
            name: jax.device_put(np.asarray(values, np.float32), self.sharding)
            for name, values in found.items()
            if len(set(values)) > 1
        }

    def _shard(self, function: Any) -> Any:
        spec = PartitionSpec(AXIS)
        return jax.shard_map(function, mesh=self.mesh, in_specs=spec, out_specs=spec, check_vma=False)


def train_together(
    configs: Sequence[TrainConfig], run_dirs: Sequence[Path], config_texts: Sequence[str], console: Console
) -> int | None:
    """Meta-train several trials as one program, each in a run directory of its own; resume if they hold runs.

    A trial that diverges fails alone: its directory says so in `log.txt`, and keeps its last good checkpoint.

    Args:
        configs: alike but for traceable values.
        run_dirs: their directories.
        config_texts: their resolved configs as YAML.
        console: where progress is shown.

    Returns:
        The number of the signal that stopped them, if any.

    Raises:
        HeuraxError: a directory belongs to another run, the disk is full, a traced value meets meta-parameters that
            are not float32, or the outer loop takes turns or draws on a stream.
    """
    program = _program(configs)
    with contextlib.ExitStack() as stack:
        members = [
            _Member(config, text, stack.enter_context(RunDirectory(run_dir, text)), stack)
            for config, run_dir, text in zip(configs, run_dirs, config_texts, strict=True)
        ]
        stop = stack.enter_context(stop_on_signals())
        total, size = configs[0].outer.num_steps, configs[0].steps_per_dispatch
        step, state = _begin(program, members)
        if step == total and all(member.directory.summary.is_file() for member in members):
            return None
        started = time.monotonic()
        with console.status(f"compiling the outer step of {len(members)} trials"):
            advance, values = program.compile(), program.values()
        compile_seconds = time.monotonic() - started
        console.print(f"compiled the outer step of {len(members)} trials in {compile_seconds:.1f} s", highlight=False)
        for member in members:
            write_provenance(member.directory.path, member.config)
            member.trackers = open_trackers(member.config, member.text, member.directory, step)
            for tracker in member.trackers:
                stack.callback(tracker.close)
        inner_steps = configs[0].outer.inner_steps(configs[0].inner)
        progress = stack.enter_context(RunProgress(console, total, step, inner_steps * len(members)))
        first, started = step, time.monotonic()
        while step < total and not stop and any(member.healthy for member in members):
            state, metrics = advance(state, values)
            means = {name: np.mean(numbers, axis=1) for name, numbers in jax.device_get(metrics).items()}
            step += size
            rate = (step - first) / (time.monotonic() - started)
            for i, member in enumerate(members):
                member.log(step, {name: float(numbers[i]) for name, numbers in means.items()}, rate)
            progress.update(step, float(np.mean(means["meta_loss"])))
            if step % configs[0].checkpoint_every == 0 or step == total:
                _save(step, state, members)
        seconds = max(time.monotonic() - started, 1e-9)
        _save(step, state, members)
        rate = (step - first) / seconds
        for i, member in enumerate(members):
            if member.healthy:
                summary = Summary(
                    status="finished" if step == total else "stopped",
                    outer_steps=step,
                    meta_loss=member.meta_loss,
                    inner_steps=step * inner_steps,
                    outer_steps_per_second=rate,
                    inner_steps_per_second=rate * inner_steps,
                    compile_seconds=compile_seconds,
                    run_seconds=seconds,
                    memory_bytes_per_device=peak_memory(planned_memory(advance), program.mesh.local_devices),
                    num_devices=program.mesh.size,
                    environment=environment(),
                    stopped_by=stop.signal,
                )
                theta = jax.tree.map(lambda x, i=i: x[i], state.theta)
                write_results(member.config, member.text, member.directory, theta, summary)
        return None if step == total or stop.signal is None else int(stop.signal)


class _Member:
    """One of the trials: its directory, its checkpoints, and whether it is still of use."""

    def __init__(self, config: TrainConfig, text: str, directory: RunDirectory, stack: contextlib.ExitStack) -> None:
        self.config, self.text, self.directory = config, text, directory
        self.checkpoints = stack.enter_context(Checkpoints(directory.checkpoints, config.keep_checkpoints))
        self.trackers: list[Tracker] = []
        self.healthy = True
        self.meta_loss: float | None = None

    def log(self, step: int, record: dict[str, float], rate: float) -> None:
        """Take note of a dispatch; a trial that has diverged is left alone from then on."""
        if not self.healthy:
            return
        try:
            check_finite(record, step, self.checkpoints)
        except HeuraxError as error:
            self.healthy = False
            with (self.directory.path / "log.txt").open("a") as log:
                log.write(f"heurax: error: {error}\n")
            return
        self.meta_loss = record["meta_loss"]
        for tracker in self.trackers:
            tracker.log(step, {**record, "outer_steps_per_second": rate})


def _program(configs: Sequence[TrainConfig]) -> TrialsProgram:
    """On as many devices as divide the number of trials."""
    if configs[0].outer.turn_length:
        raise HeuraxError(f"{type(configs[0].outer).__name__} takes turns: set launcher.together to 1")
    if streams_in((configs[0].inner, configs[0].outer)):
        raise HeuraxError("a Stream feeds one trial: set launcher.together to 1")
    program = TrialsProgram(tuple(configs), device_mesh(len(configs), AXIS))
    theta = program.abstract_state().theta
    if program.values() and any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(theta)):
        names = ", ".join(program.values())
        raise HeuraxError(f"{names} can only be traced for float32 meta-parameters: set launcher.together to 1")
    return program


def _begin(program: TrialsProgram, members: Sequence[_Member]) -> tuple[int, Any]:
    """The latest step that all trials have a checkpoint of, and their states there."""
    steps = set.intersection(*(set(member.checkpoints.all_steps) for member in members))
    if not steps:
        return 0, program.init()
    target = program.abstract_state()
    return max(steps), program.stack([member.checkpoints.restore(max(steps), target) for member in members])


def _save(step: int, state: Any, members: Sequence[_Member]) -> None:
    """Save those that are healthy, and do not have this step already."""
    for i, member in enumerate(members):
        if member.healthy and member.checkpoints.latest_step != step:
            member.checkpoints.save(step, jax.tree.map(lambda x, i=i: x[i], state))


def with_values(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """A config with traced values in place of its own, which have been checked when the trials' configs were made."""
    for name, value in values.items():
        config = _put(config, name.split("."), value)
    return config


def _put(owner: Any, path: Sequence[str], value: Any) -> Any:
    changed = copy.copy(owner)  # unlike `dataclasses.replace`, asks a traced value nothing
    inside = value if len(path) == 1 else _put(getattr(owner, path[0]), path[1:], value)
    object.__setattr__(changed, path[0], inside)
    return changed


def _get(config: Any, name: str) -> Any:
    """A field by its dotted name; None where there is none."""
    for part in name.split("."):
        config = getattr(config, part, None)
    return config
