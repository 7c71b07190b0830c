"""How throughput and memory grow with the number of lifetimes, from 2 to 512, on the digits MLP 64-32-10.

    python -m benchmarks.population [--sizes 2 8 32 128 512] [--output results/population]

Lifetimes come in antithetic pairs, of `TruncatedES`, so that the smallest population is two. Batch 128, windows of 10
steps, for `AdafacMLP` and, as calibration, `optax.adam`. Memory is what the compiled program plans to need, over all
devices.
"""

import argparse
from pathlib import Path

from rich.progress import track

from benchmarks.common import CompiledRun, alternate, print_table, write_rows
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, TruncatedES
from heurax.rules import AdafacMLP, OptaxOptimizer
from heurax.runs import split_cpu

REPEATS = 7
WINDOW = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 8, 32, 128, 512], help="lifetimes, even numbers")
    parser.add_argument("--output", type=Path, help="folder for population.json")
    options = parser.parse_args()
    split_cpu(None)

    rules = {"AdafacMLP": AdafacMLP(), "adam": OptaxOptimizer("adam")}
    runs = {
        (name, size): CompiledRun(
            SupervisedTraining(rule, num_steps=1000),
            Descent(TruncatedES(num_tasks=size // 2, window=WINDOW)),
            num_steps=max(1, 64 // size),
        )
        for name, rule in rules.items()
        for size in track(options.sizes, f"compiling {name}", transient=True)
    }
    seconds = dict(zip(runs, alternate(list(runs.values()), REPEATS), strict=True))
    speeds = {key: run.inner_steps / seconds[key] for key, run in runs.items()}
    reference = 8 if 8 in options.sizes else options.sizes[0]
    rows = [
        {
            "rule": name,
            "lifetimes": size,
            "devices": run.mesh.size,
            "inner_steps_per_second": speeds[name, size],
            f"times_that_of_{reference}": speeds[name, size] / speeds[name, reference],
            "megabytes": run.bytes_per_device * run.mesh.size / 1e6,
            "kilobytes_per_lifetime": run.bytes_per_device * run.mesh.size / size / 1e3,
        }
        for (name, size), run in runs.items()
    ]
    print_table(
        "lifetimes in parallel",
        rows,
        {"rule": "", "lifetimes": ",", "devices": "", "inner_steps_per_second": ",.0f"}
        | {f"times_that_of_{reference}": ".2f", "megabytes": ",.1f", "kilobytes_per_lifetime": ",.0f"},
    )
    write_rows(options.output, "benchmarks.population", rows)


if __name__ == "__main__":
    main()
