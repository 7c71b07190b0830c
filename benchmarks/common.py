"""What the scripts share: runs timed side by side, and tables that are printed and written as JSON."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from heurax.files import write_text
from heurax.inner import InnerLoop
from heurax.outer import OuterLoop
from heurax.runs import OuterProgram, tasks_mesh
from heurax.runs.provenance import environment

__all__ = ["CompiledRun", "alternate", "print_table", "write_rows"]


class CompiledRun:
    """An outer loop on an inner loop, compiled and warm: each call makes `num_steps` outer steps.

    Args:
        inner: the inner loop.
        outer: the outer loop.
        num_steps: outer steps per call; >= 1.
    """

    def __init__(self, inner: InnerLoop, outer: OuterLoop, num_steps: int = 10) -> None:
        self.mesh = tasks_mesh(outer.num_tasks)
        program = OuterProgram(inner, outer, self.mesh, num_steps)
        started = time.perf_counter()
        self.compiled = program.compile()
        self.compile_seconds = time.perf_counter() - started
        self.bytes_per_device = self.compiled.planned_memory
        self.inner_steps = outer.inner_steps(inner) * num_steps
        self.state, _ = self.compiled(program.init(seed=0))
        jax.block_until_ready(self.state)

    def __call__(self) -> float:
        """Seconds of one call."""
        started = time.perf_counter()
        self.state, metrics = self.compiled(self.state)
        jax.block_until_ready((self.state, metrics))
        return time.perf_counter() - started


def alternate(runs: Sequence[Callable[[], float]], repeats: int) -> list[float]:
    """Median seconds of each run, all taken by turns, so that a busy machine slows all of them."""
    return [float(x) for x in np.median([[run() for run in runs] for _ in range(repeats)], axis=0)]


def print_table(title: str, rows: Sequence[Mapping[str, Any]], formats: Mapping[str, str]) -> None:
    """Print rows of which `formats` names the columns, each with its format."""
    table = Table(title=title, title_justify="left")
    for name, form in formats.items():
        table.add_column(name.replace("_", " "), justify="right" if form else "left")
    for row in rows:
        table.add_row(*("-" if row.get(name) is None else format(row[name], form) for name, form in formats.items()))
    Console().print(table)


def write_rows(output: Path | None, module: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, command and machine to `output/NAME.json`, the last part of `module`'s name; None writes nothing."""
    if output is None:
        return
    output.mkdir(parents=True, exist_ok=True)
    described = {
        "command": f"python -m {module}",
        "cores": len(os.sched_getaffinity(0)),
        "environment": environment(),
        "rows": list(rows),
    }
    write_text(output / f"{module.rpartition('.')[2]}.json", json.dumps(described, indent=1) + "\n")
