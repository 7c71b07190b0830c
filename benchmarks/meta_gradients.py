"""Meta-gradients through long windows: time and peak memory, with and without computing steps again.

    python -m benchmarks.meta_gradients [--output results/meta_gradients]

`TruncatedGradient` through 200 inner steps of the digits MLP 64-32-10 (2,410 parameters, batch 128), 8 tasks, for
`AdafacMLP`. `remat` is the length of the blocks of steps that the backward pass computes again; `mixed_mode` keeps of
the inner gradients what they read. Memory is what the compiled program plans to need, over all devices. Calibration: as
many steps of the same lifetimes without differentiation, by `TruncatedES`.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks.common import CompiledRun, alternate, print_table, write_rows
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, TruncatedES, TruncatedGradient
from heurax.runs import split_cpu

WINDOW = 200
NUM_TASKS = 8
REPEATS = 5
VARIANTS: tuple[dict[str, Any], ...] = (
    {"remat": None, "mixed_mode": False},
    {"remat": None, "mixed_mode": True},
    {"remat": 20, "mixed_mode": False},
    {"remat": 1, "mixed_mode": False},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="folder for meta_gradients.json")
    options = parser.parse_args()
    split_cpu(None)

    forward = Descent(TruncatedES(num_tasks=NUM_TASKS // 2, window=WINDOW))
    runs = [CompiledRun(SupervisedTraining(num_steps=1000), forward, num_steps=1)]
    for variant in track(VARIANTS, "compiling", transient=True):
        inner = SupervisedTraining(num_steps=1000, mixed_mode=variant["mixed_mode"])
        outer = Descent(TruncatedGradient(num_tasks=NUM_TASKS, window=WINDOW, remat=variant["remat"]))
        runs.append(CompiledRun(inner, outer, num_steps=1))
    forward_seconds, *seconds = alternate(runs, REPEATS)
    rows = [
        variant
        | {
            "seconds": time,
            "inner_steps_per_second": run.inner_steps / time,
            "times_forward": time / forward_seconds,
            "times_plain": time / seconds[0],
            "megabytes": run.bytes_per_device * run.mesh.size / 1e6,
            "compile_seconds": run.compile_seconds,
        }
        for variant, run, time in zip(VARIANTS, runs[1:], seconds, strict=True)
    ]
    print_table(
        f"meta-gradients through {WINDOW} steps, {NUM_TASKS} tasks",
        [row | {"remat": str(row["remat"]), "mixed_mode": str(row["mixed_mode"])} for row in rows],
        {"remat": "", "mixed_mode": "", "seconds": ".2f", "inner_steps_per_second": ",.0f", "times_forward": ".1f"}
        | {"times_plain": ".2f", "megabytes": ",.0f", "compile_seconds": ".1f"},
    )
    write_rows(options.output, "benchmarks.meta_gradients", rows)


if __name__ == "__main__":
    main()
