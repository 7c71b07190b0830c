"""Devices: the mesh over which tasks are sharded, and the compiled outer step on it."""

import concurrent.futures
import contextlib
import gc
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from heurax.errors import HeuraxError
from heurax.inner import InnerLoop
from heurax.outer import OuterLoop
from heurax.tasks.datasets.stream import Chunk, Stream, streams_in, with_chunks

__all__ = [
    "CPU_OPTIONS",
    "TASKS_AXIS",
    "Advance",
    "OuterProgram",
    "compile_on",
    "device_mesh",
    "peak_memory",
    "planned_memory",
    "split_cpu",
    "tasks_mesh",
    "uncollected",
]

CPU_OPTIONS: dict[str, str | bool] = {
    "xla_backend_optimization_level": "1",
    "xla_cpu_experimental_ynn_fusion_type": "",
    "xla_cpu_enable_fast_math": True,
    "xla_cpu_fast_math_honor_nans": True,
    "xla_cpu_fast_math_honor_infs": True,
    "xla_cpu_fast_math_honor_division": True,
    "xla_cpu_fast_math_honor_functions": True,
}
"""XLA's options for an outer step on CPUs, whose operations are many and small.

LLVM's dearer passes take a third of the compile time and gain nothing measurable. XLA's library of fused kernels
(YNNPACK) costs more to call than such operations take: meta-gradients of small models gain 30%. Sums may be added in
any order, as vector instructions need it; else the statistics of a tensor are added one number at a time, which costs a
sixth of an inner step of `AdafacMLP`. NaN, infinity, division and functions stay those of IEEE, but XLA then takes
`x + y - y` for `x`, and `x - x` and `0 x` for 0, so that compensated summation compensates nothing.

An option that the environment's `XLA_FLAGS` names is left as it says.
"""

TASKS_AXIS = "tasks"
"""Name of the mesh axis over which tasks, or members of a population, are sharded."""


def split_cpu(num_devices: int | None) -> None:
    """Make the cores of this machine into virtual devices; must come before JAX is first used.

    Lifetimes are small and many, so that one device per core beats the same cores working on one operation. Without
    effect where JAX is in use already, or where XLA_FLAGS or JAX_NUM_CPU_DEVICES says how many there are to be.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "") or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    try:
        jax.config.update("jax_num_cpu_devices", num_devices or len(os.sched_getaffinity(0)))
    except RuntimeError:
        return  # the backend has started: its devices are what there is


def tasks_mesh(num_tasks: int, max_devices: int | None = None) -> Mesh:
    """A mesh over the largest number of devices that divides `num_tasks`.

    Raises:
        HeuraxError: there are several processes, and their devices do not divide `num_tasks`.
    """
    devices = jax.devices()[:max_devices]
    if jax.process_count() > 1 and num_tasks % len(devices):
        raise HeuraxError(
            f"the number of tasks, {num_tasks}, must be a multiple of the {len(devices)} devices of all processes"
        )
    return device_mesh(num_tasks, TASKS_AXIS, max_devices)


def device_mesh(size: int, axis_name: str, max_devices: int | None = None) -> Mesh:
    """A mesh of one axis over the largest number of devices that divides `size`."""
    devices = jax.devices()[:max_devices]
    count = max(n for n in range(1, len(devices) + 1) if size % n == 0)
    return jax.make_mesh((count,), (axis_name,), axis_types=(AxisType.Auto,), devices=devices[:count])


def planned_memory(program: jax.stages.Compiled) -> int:
    """Bytes that a compiled program needs on each device: arguments, outputs of their own, and temporaries."""
    analysis: Any = program.memory_analysis()
    return int(
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        - analysis.alias_size_in_bytes
        + analysis.temp_size_in_bytes
    )


def peak_memory(planned: int, devices: Iterable[Any]) -> int:
    """Peak bytes on the device that needed most.

    As the devices have counted since the process began; CPUs do not count, and what is `planned` stands in for it.
    """
    counts = [stats["peak_bytes_in_use"] for device in devices if (stats := device.memory_stats())]
    return max(counts, default=planned)


@dataclass(frozen=True)
class Advance:
    """Several outer steps by compiled programs that take turns; nothing is compiled when it is called.

    Args:
        programs: from a state, which is donated, and the chunks of the run's streams to the next state and metrics,
            after `program_steps` outer steps.
        program_at: which of them makes an outer step.
        program_steps: outer steps that a program makes.
        num_steps: outer steps of a call; a multiple of `program_steps`.
    """

    programs: tuple[jax.stages.Compiled, ...]
    program_at: Callable[[int], int]
    program_steps: int
    num_steps: int

    def __call__(self, state: Any, chunks: tuple[Chunk, ...] = ()) -> tuple[Any, dict[str, Any]]:
        """The state after `num_steps`, and metrics, stacked over the steps that reported them."""
        if len(self.programs) == 1:
            return self.programs[0](state, chunks)
        now = int(state.step)
        reports = []
        for step in range(now, now + self.num_steps, self.program_steps):
            state, report = self.programs[self.program_at(step)](state, chunks)
            reports.append(report)
        reports = jax.device_get(reports)
        names = dict.fromkeys(name for report in reports for name in report)
        return state, {name: np.concatenate([r[name] for r in reports if name in r]) for name in names}

    @property
    def planned_memory(self) -> int:
        """Bytes on each device, of the program that needs most."""
        return max(map(planned_memory, self.programs))


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, which goes through all that a trace makes and takes a third of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def compile_on(mesh: Mesh, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compile a program for a mesh, with `CPU_OPTIONS` if it is of CPUs."""
    if mesh.devices.flat[0].platform != "cpu":
        return lowered.compile()
    flags = os.environ.get("XLA_FLAGS", "")
    return lowered.compile({name: value for name, value in CPU_OPTIONS.items() if name not in flags})


@dataclass(frozen=True)
class OuterProgram:
    """An outer loop on an inner loop, as compiled programs on a mesh: `init`, and several steps at once.

    Args:
        inner: the inner loop.
        outer: the outer loop.
        mesh: over which tasks are sharded, from `tasks_mesh`.
        num_steps: outer steps per call of `advance`.
    """

    inner: InnerLoop
    outer: OuterLoop
    mesh: Mesh
    num_steps: int

    def init(self, seed: int) -> Any:
        """The state before the first outer step, on the mesh."""
        return jax.jit(lambda: self._init(jax.random.key(seed)))()

    def abstract_state(self) -> Any:
        """Shapes, dtypes and shardings of the state."""
        shapes = jax.eval_shape(self._init, jax.random.key(0))
        specs = self.outer.partition_specs(TASKS_AXIS)
        is_spec = lambda x: isinstance(x, PartitionSpec)  # noqa: E731 # names a predicate
        return jax.tree.map(
            lambda spec, part: jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=NamedSharding(self.mesh, spec)), part
            ),
            specs,
            shapes,
            is_leaf=is_spec,
        )

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Those that the inner loops draw their data from; `Advance` takes a chunk of each."""
        return streams_in((self.inner, self.outer))

    def compile(self) -> Advance:
        """All programs, ahead of time."""
        specs, streams = self.outer.partition_specs(TASKS_AXIS), self.streams
        program_steps = math.gcd(self.outer.turn_length, self.num_steps)
        everywhere = NamedSharding(self.mesh, PartitionSpec())
        chunks = tuple(
            jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=everywhere), stream.shapes())
            for stream in streams
        )

        def lowered(index: int) -> jax.stages.Lowered:
            def steps(state: Any, chunks: tuple[Chunk, ...]) -> tuple[Any, Any]:
                inner, outer = with_chunks((self.inner, self.outer), dict(zip(streams, chunks, strict=True)))
                step = outer.programs(inner)[index]
                return jax.lax.scan(lambda state, _: step(state, TASKS_AXIS), state, None, length=program_steps)

            sharded = jax.shard_map(
                steps,
                mesh=self.mesh,
                in_specs=(specs, PartitionSpec()),
                out_specs=(specs, PartitionSpec()),
                check_vma=False,
            )
            return jax.jit(sharded, donate_argnums=0).lower(self.abstract_state(), chunks)

        with uncollected():
            programs = [lowered(index) for index in range(len(self.outer.programs(self.inner)))]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:  # XLA compiles outside of Python's lock
            compiled = tuple(pool.map(lambda program: compile_on(self.mesh, program), programs))
        return Advance(compiled, self.outer.program_at, program_steps, self.num_steps)

    def _init(self, key: jax.Array) -> Any:
        specs = self.outer.partition_specs(TASKS_AXIS)
        return jax.shard_map(
            lambda key: self.outer.init(self.inner, key, TASKS_AXIS),
            mesh=self.mesh,
            in_specs=PartitionSpec(),
            out_specs=specs,
            check_vma=False,
        )(key)
