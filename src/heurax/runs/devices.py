"""Devices: the mesh over which tasks are sharded, and the compiled outer step on it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from heurax.errors import HeuraxError
from heurax.inner import InnerLoop
from heurax.outer import OuterLoop

__all__ = [
    "CPU_OPTIONS",
    "TASKS_AXIS",
    "OuterProgram",
    "compile_on",
    "device_mesh",
    "peak_memory",
    "planned_memory",
    "split_cpu",
    "tasks_mesh",
]

CPU_OPTIONS: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": "", "xla_backend_optimization_level": "1"}
"""XLA's options for an outer step on CPUs, whose operations are many and small. Its library of fused kernels (YNNPACK)
costs more to call than such operations take: meta-gradients of small models gain 30%. LLVM's dearer passes take a third
of the compile time and gain nothing measurable."""

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


def peak_memory(program: jax.stages.Compiled, devices: Iterable[Any]) -> int:
    """Peak bytes on the device that needed most.

    As the devices have counted since the process began; CPUs do not count, and what the program plans to need stands
    in for it.
    """
    counts = [stats["peak_bytes_in_use"] for device in devices if (stats := device.memory_stats())]
    return max(counts, default=planned_memory(program))


def compile_on(mesh: Mesh, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compile a program for a mesh, with `CPU_OPTIONS` if it is of CPUs."""
    return lowered.compile(CPU_OPTIONS if mesh.devices.flat[0].platform == "cpu" else None)


@dataclass(frozen=True)
class OuterProgram:
    """An outer loop on an inner loop, as two compiled programs on a mesh: `init`, and several steps at once.

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

    def compile(self) -> jax.stages.Compiled:
        """`advance`: state to (state, metrics stacked over `num_steps`). The argument is donated."""
        specs = self.outer.partition_specs(TASKS_AXIS)

        def steps(state: Any) -> tuple[Any, Any]:
            return jax.lax.scan(
                lambda state, _: self.outer.step(self.inner, state, TASKS_AXIS), state, None, length=self.num_steps
            )

        sharded = jax.shard_map(
            steps, mesh=self.mesh, in_specs=(specs,), out_specs=(specs, PartitionSpec()), check_vma=False
        )
        lowered = jax.jit(sharded, donate_argnums=0).lower(self.abstract_state())
        return compile_on(self.mesh, lowered)

    def _init(self, key: jax.Array) -> Any:
        specs = self.outer.partition_specs(TASKS_AXIS)
        return jax.shard_map(
            lambda key: self.outer.init(self.inner, key, TASKS_AXIS),
            mesh=self.mesh,
            in_specs=PartitionSpec(),
            out_specs=specs,
            check_vma=False,
        )(key)
