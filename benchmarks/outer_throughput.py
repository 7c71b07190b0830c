"""Inner steps per second of whole outer steps, for every estimator, with a calibration row.

    python -m benchmarks.outer_throughput [--num_tasks 8] [--window 10] [--rule AdafacMLP]

The setting is that of the peers' published tables: digits, MLP 64-32-10 (2,410 parameters), batch 128, horizon 1,000.
The calibration row trains the same lifetimes with plain `optax.adam` under the same estimator; the last column is the
share of its speed that is left, and is what compares between machines.
"""

import argparse
import time

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from heurax.inner import SupervisedTraining
from heurax.outer import Descent, Estimator, PersistentES, TruncatedES, TruncatedGradient
from heurax.rules import RULES, LearnedOptimizer, OptaxOptimizer
from heurax.runs import OuterProgram, split_cpu, tasks_mesh

STEPS_PER_CALL = 10
REPEATS = 7


def measure(rule: LearnedOptimizer, estimator: Estimator) -> tuple[float, float]:
    """Median inner steps per second, and seconds to compile."""
    inner, outer = SupervisedTraining(rule, num_steps=1000), Descent(estimator)
    program = OuterProgram(inner, outer, tasks_mesh(estimator.num_tasks), STEPS_PER_CALL)
    started = time.perf_counter()
    advance = program.compile()
    compile_seconds = time.perf_counter() - started
    state, _ = advance(program.init(seed=0))
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        state, metrics = advance(state)
        jax.block_until_ready(metrics)
        seconds.append(time.perf_counter() - started)
    return outer.inner_steps(inner) * STEPS_PER_CALL / float(np.median(seconds)), compile_seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_tasks", type=int, default=8)
    parser.add_argument("--window", type=int, default=10)
    parser.add_argument("--rule", default="AdafacMLP", choices=RULES)
    options = parser.parse_args()
    split_cpu(None)

    rule = RULES[options.rule]()
    assert isinstance(rule, LearnedOptimizer)
    table = Table(title=f"{options.rule}, {options.num_tasks} tasks x window {options.window}", title_justify="left")
    for heading in ("estimator", "inner steps/s", "compile s", "adam's inner steps/s", "share of adam's"):
        table.add_column(heading, justify="left" if heading == "estimator" else "right")
    for make in (PersistentES, TruncatedES, TruncatedGradient):
        estimator = make(num_tasks=options.num_tasks, window=options.window)
        speed, compile_seconds = measure(rule, estimator)
        reference, _ = measure(OptaxOptimizer("adam"), estimator)
        share = f"{speed / reference:.0%}"
        table.add_row(make.__name__, f"{speed:,.0f}", f"{compile_seconds:.1f}", f"{reference:,.0f}", share)
    Console().print(table)


if __name__ == "__main__":
    main()
