"""Profiling: a trace of a few outer steps, for TensorBoard and Perfetto."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from heurax.files import disk_errors
from heurax.runs.devices import OuterProgram
from heurax.runs.feed import Feed

__all__ = ["write_profile"]

PROFILED_STEPS = 3


def write_profile(program: OuterProgram, state: Any, directory: Path) -> Path:
    """Trace a few outer steps from a state, which stays as it is: profiling changes nothing about a run.

    The steps are a program of their own, compiled and run once before, so that a trace stays small enough to be opened
    and has no compilation in it.

    Args:
        program: whose outer steps.
        state: where they begin.
        directory: TensorBoard's log directory.

    Returns:
        The trace for ui.perfetto.dev; what TensorBoard's profile plugin reads lies beside it.

    Raises:
        HeuraxError: the trace cannot be written.
    """
    steps = min(PROFILED_STEPS, program.num_steps)
    advance = OuterProgram(program.inner, program.outer, program.mesh, steps).compile()
    copy = jax.jit(lambda state: jax.tree.map(jnp.copy, state))
    with Feed(program.streams, program.mesh) as feed:
        chunks = feed.take()
    jax.block_until_ready(advance(copy(state), chunks))
    begin = copy(state)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # the host waits; what it calls meanwhile would bury the rest
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        with jax.profiler.trace(str(directory), create_perfetto_trace=True, profiler_options=options):
            jax.block_until_ready(advance(begin, chunks))
    return max(directory.glob("plugins/profile/*/perfetto_trace.json.gz"))
