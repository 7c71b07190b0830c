"""Fails when meta-training has become slower than recorded: what continuous integration runs.

    python -m benchmarks.guard [--record]

The share of plain Adam's inner steps per second that is left under `AdafacMLP`, in the same lifetimes, by turns, is
nearly the same on all machines, busy ones included. For `PersistentES` and `TruncatedGradient` at 8 tasks x 10 steps it
must not fall by more than 30% from the one in `results/guard/guard.json`, which `--record` writes.
"""

import argparse
import json
import sys
from pathlib import Path

from benchmarks.common import CompiledRun, alternate, write_rows
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, Estimator, PersistentES, TruncatedGradient
from heurax.rules import AdafacMLP, OptaxOptimizer
from heurax.runs import split_cpu

RECORD = Path("results/guard")
TOLERATED_LOSS = 0.3
REPEATS = 15


def share_of_adam(estimator: Estimator) -> float:
    """Inner steps per second under `AdafacMLP`, as a share of those under Adam."""
    learned, adam = (
        CompiledRun(SupervisedTraining(rule, num_steps=1000), Descent(estimator), num_steps=5)
        for rule in (AdafacMLP(), OptaxOptimizer("adam", options={"eps_root": 1e-16}))
    )
    seconds, adam_seconds = alternate([learned, adam], REPEATS)
    return adam_seconds / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="write the shares instead of comparing them")
    options = parser.parse_args()
    split_cpu(None)

    estimators = (PersistentES(num_tasks=8, window=10), TruncatedGradient(num_tasks=8, window=10, remat=1))
    shares = {type(estimator).__name__: share_of_adam(estimator) for estimator in estimators}
    if options.record:
        write_rows(RECORD, "benchmarks.guard", [{"estimator": k, "share_of_adam": v} for k, v in shares.items()])
        return
    rows = json.loads((RECORD / "guard.json").read_text())["rows"]
    slower = False
    for row in rows:
        share, recorded = shares[row["estimator"]], row["share_of_adam"]
        slower |= share < (1 - TOLERATED_LOSS) * recorded
        print(f"{row['estimator']}: {share:.1%} of Adam's inner steps per second, recorded {recorded:.1%}")
    if slower:
        sys.exit(f"guard: meta-training is slower than recorded by more than {TOLERATED_LOSS:.0%}")


if __name__ == "__main__":
    main()
