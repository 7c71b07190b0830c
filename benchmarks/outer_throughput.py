"""Inner steps per second of whole outer steps, for the settings of the peers' published table, with calibration rows.

    python -m benchmarks.outer_throughput [--rows 4] [--output results/outer_throughput]

The setting is theirs: digits, MLP 64-32-10 (2,410 parameters), batch 128, horizon 1,000; N tasks x windows of T steps;
evolution strategies make 2NT inner steps per outer step. Truncated gradients compute each step again in the backward
pass (`remat=1`). The calibration row of each estimator and size trains the same lifetimes with plain `optax.adam`, in
turns with the rule; the share of its speed that is left compares between machines.

`peer` are inner steps per second of google/learned_optimization on a 2-core machine of the kind used here, on its
fastest path where it has two, and `peer_compile` its seconds to compile. They were measured once, not in this run.
"""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import jax
from rich.progress import track

from benchmarks.common import CompiledRun, alternate, print_table, write_rows
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, Estimator, PersistentES, TruncatedES, TruncatedGradient
from heurax.rules import AdafacMLP, LearnedOptimizer, MLPOptimizer, OptaxOptimizer, VeLO
from heurax.runs import split_cpu

REPEATS = 7


class Setting(NamedTuple):
    """One row: an estimator at a size, a rule, and what the peer was measured to do there."""

    estimator: type[PersistentES] | type[TruncatedES] | type[TruncatedGradient]
    rule: LearnedOptimizer
    num_tasks: int
    window: int
    peer: float
    peer_compile: float

    def build(self) -> Estimator:
        """The estimator at its size."""
        if issubclass(self.estimator, TruncatedGradient):
            return self.estimator(num_tasks=self.num_tasks, window=self.window, remat=1)
        return self.estimator(num_tasks=self.num_tasks, window=self.window)


SETTINGS = (
    Setting(PersistentES, AdafacMLP(), 8, 10, 5_455, 18),
    Setting(PersistentES, AdafacMLP(), 32, 50, 9_321, 18),
    Setting(PersistentES, MLPOptimizer(), 8, 10, 2_839, 12),
    Setting(PersistentES, MLPOptimizer(), 32, 50, 3_058, 18),
    Setting(PersistentES, VeLO(), 8, 10, 223, 22),
    Setting(TruncatedES, AdafacMLP(), 8, 10, 4_411, 12),
    Setting(TruncatedES, AdafacMLP(), 32, 50, 3_742, 17),
    Setting(TruncatedGradient, AdafacMLP(), 8, 10, 739, 31),
    Setting(TruncatedGradient, AdafacMLP(), 32, 50, 754, 49),
    Setting(TruncatedGradient, MLPOptimizer(), 8, 10, 604, 10),
    Setting(TruncatedGradient, MLPOptimizer(), 32, 50, 552, 13),
)


def measure(setting: Setting) -> dict[str, Any]:
    """One row."""
    num_steps = 10 if setting.window == 10 else 2
    rule, adam = (
        CompiledRun(SupervisedTraining(rule, num_steps=1000), Descent(setting.build()), num_steps)
        for rule in (setting.rule, OptaxOptimizer("adam"))
    )
    seconds, adam_seconds = alternate([rule, adam], REPEATS)
    speed, adam_speed = rule.inner_steps / seconds, adam.inner_steps / adam_seconds
    return {
        "estimator": setting.estimator.__name__,
        "rule": type(setting.rule).__name__,
        "size": f"{setting.num_tasks}x{setting.window}",
        "inner_steps_per_second": speed,
        "adam": adam_speed,
        "share_of_adam": speed / adam_speed,
        "compile_seconds": rule.compile_seconds,
        "peer": setting.peer,
        "times_peer": speed / setting.peer,
        "peer_compile": setting.peer_compile,
        "megabytes_per_device": rule.bytes_per_device / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=len(SETTINGS), help="how many of the settings, from the first")
    parser.add_argument("--output", type=Path, help="folder for outer_throughput.json")
    options = parser.parse_args()
    split_cpu(None)
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured

    rows = [measure(setting) for setting in track(SETTINGS[: options.rows], "outer throughput", transient=True)]
    formats = {"estimator": "", "rule": "", "size": "", "inner_steps_per_second": ",.0f", "adam": ",.0f"}
    formats |= {"share_of_adam": ".0%", "times_peer": ".1f", "compile_seconds": ".1f", "peer_compile": ".0f"}
    print_table(
        "digits MLP 64-32-10, batch 128, horizon 1,000",
        rows,
        formats | {"megabytes_per_device": ",.1f"},
    )
    write_rows(options.output, "benchmarks.outer_throughput", rows)


if __name__ == "__main__":
    main()
