"""Twelve seeds as one program against one seed, on the quick start: wall-clock of whole sweeps, and rates.

    python -m benchmarks.sweep [--outer_steps 5000] [--output results/sweep]

Two figures. *Whole*: `heurax sweep` with one seed and with twelve together, each a process of its own that starts,
compiles (with an empty compilation cache), trains, checkpoints and writes its run directories. *Rates*: seconds per
outer step of both programs in this process, in turn, without start-up and compilation. Both use all cores.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from heurax.config import find_config, read_config
from heurax.runs import OuterProgram, TrainConfig, split_cpu, tasks_mesh
from heurax.runs.devices import device_mesh
from heurax.runs.provenance import environment
from heurax.sweeps.together import TrialsProgram

BASE = "learned_optimizers/quickstart"
REPEATS = 7


def whole(num_seeds: int, outer_steps: int) -> float:
    """Seconds that a sweep of some seeds takes, from the command to its end."""
    with tempfile.TemporaryDirectory() as directory:
        sweep = Path(directory) / "sweep.yaml"
        sweep.write_text(
            f"base: {BASE}\nsearch: {{class_path: Grid}}\nseeds: {list(range(num_seeds))}\n"
            f"overrides: {{outer.num_steps: {outer_steps}, checkpoint_every: {min(500, outer_steps)}}}\n"
            f"launcher: {{class_path: Local, init_args: {{processes: 1, together: {num_seeds}}}}}\n"
        )
        cache = {"JAX_COMPILATION_CACHE_DIR": str(Path(directory) / "cache")}
        command = [sys.executable, "-m", "heurax.cli", "sweep", str(sweep), "--out", str(Path(directory) / "out")]
        started = time.perf_counter()
        subprocess.run(command, env=os.environ | cache, check=True, capture_output=True)
        return time.perf_counter() - started


def rates(num_seeds: int) -> dict[str, dict[str, float]]:
    """Seconds to compile, and per outer step, of one seed and of all of them, measured in turn."""
    config, _ = read_config(TrainConfig, find_config(BASE), ["--steps_per_dispatch=10", "--checkpoint_every=10"])
    one = OuterProgram(config.inner, config.outer, tasks_mesh(config.outer.num_tasks), config.steps_per_dispatch)
    configs = tuple(replace(config, seed=seed) for seed in range(num_seeds))
    many = TrialsProgram(configs, device_mesh(num_seeds, "trials"))
    found: dict[str, dict[str, float]] = {}
    calls = {}
    for name, compile_program in (("one", one.compile), ("together", many.compile)):
        started = time.perf_counter()
        calls[name] = compile_program()
        found[name] = {"compile_seconds": time.perf_counter() - started}
    states = {"one": one.init(seed=0), "together": many.init()}
    values = many.values()
    seconds: dict[str, list[float]] = {"one": [], "together": []}
    for _ in range(REPEATS + 1):
        for name, advance in calls.items():
            arguments = (values,) if name == "together" else ()
            started = time.perf_counter()
            states[name], metrics = advance(states[name], *arguments)
            jax.block_until_ready(metrics)
            seconds[name].append(time.perf_counter() - started)
    for name, all_seconds in seconds.items():
        found[name]["seconds_per_outer_step"] = float(np.median(all_seconds[1:])) / config.steps_per_dispatch
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outer_steps", type=int, default=5000, help="of the whole runs; 50 or a multiple of it")
    parser.add_argument("--num_seeds", type=int, default=12)
    parser.add_argument("--output", type=Path, help="directory for sweep.json")
    options = parser.parse_args()
    split_cpu(None)

    found = rates(options.num_seeds)
    one, many = whole(1, options.outer_steps), whole(options.num_seeds, options.outer_steps)
    record = {
        "base": BASE,
        "num_seeds": options.num_seeds,
        "whole": {
            "outer_steps": options.outer_steps,
            "one_seconds": one,
            "together_seconds": many,
            "ratio": many / one,
        },
        "rates": found
        | {"ratio": found["together"]["seconds_per_outer_step"] / found["one"]["seconds_per_outer_step"]},
        "environment": environment(),
    }
    table = Table(title=f"{options.num_seeds} seeds of {BASE}", title_justify="left")
    for heading in ("", "one seed", "together", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row(
        f"whole sweep of {options.outer_steps:,} outer steps", f"{one:.1f} s", f"{many:.1f} s", f"{many / one:.2f}"
    )
    steps = [found[name]["seconds_per_outer_step"] * 1e3 for name in ("one", "together")]
    table.add_row("outer step", *(f"{step:.2f} ms" for step in steps), f"{steps[1] / steps[0]:.2f}")
    compiles = [found[name]["compile_seconds"] for name in ("one", "together")]
    table.add_row("compilation", *(f"{c:.1f} s" for c in compiles), f"{compiles[1] / compiles[0]:.2f}")
    Console().print(table)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "sweep.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
