"""How much of a meta-training run the host takes: logging, progress, checkpoints, dispatch.

    python -m benchmarks.host_overhead [--num_steps 2000] [--output results/host_overhead]

The quick start, whole: `heurax.runs.train` with everything that a run writes. Every call of the compiled program is
timed until its results are ready; the host's share is what is left of the loop's time. A checkpoint is saved every 500
outer steps, as the config says.
"""

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from rich.console import Console

from benchmarks.common import print_table, write_rows
from heurax.config import find_config, read_config
from heurax.runs import OuterProgram, TrainConfig, split_cpu, train
from heurax.runs.devices import Advance


@dataclasses.dataclass
class TimedProgram:
    """A compiled program that adds up its own time."""

    compiled: Advance
    seconds: float = 0.0
    calls: int = 0

    def __call__(self, state: Any, chunks: Any = ()) -> Any:
        """The program's results, once they are ready."""
        started = time.perf_counter()
        results = jax.block_until_ready(self.compiled(state, chunks))
        self.seconds += time.perf_counter() - started
        self.calls += 1
        return results

    @property
    def planned_memory(self) -> int:
        """As the compiled program's."""
        return self.compiled.planned_memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_steps", type=int, default=2000, help="outer steps, a multiple of 50")
    parser.add_argument("--output", type=Path, help="folder for host_overhead.json")
    options = parser.parse_args()
    split_cpu(None)

    path = find_config("learned_optimizers/quickstart")
    config, text = read_config(TrainConfig, path, [f"--outer.num_steps={options.num_steps}"])
    programs: list[TimedProgram] = []
    compile_program = OuterProgram.compile

    def compile_timed(program: OuterProgram) -> TimedProgram:
        programs.append(TimedProgram(compile_program(program)))
        return programs[-1]

    with tempfile.TemporaryDirectory() as folder, mock.patch.object(OuterProgram, "compile", compile_timed):
        summary = train(config, Path(folder) / "run", text, Console(stderr=True))
    device = programs[0].seconds
    row = {
        "outer_steps": summary.outer_steps,
        "seconds": summary.run_seconds,
        "device_seconds": device,
        "host_share": 1 - device / summary.run_seconds,
        "host_milliseconds_per_dispatch": 1e3 * (summary.run_seconds - device) / programs[0].calls,
        "inner_steps_per_second": summary.inner_steps_per_second,
    }
    print_table(
        "the quick start's loop",
        [row],
        {"outer_steps": ",", "seconds": ".1f", "device_seconds": ".1f", "host_share": ".2%"}
        | {"host_milliseconds_per_dispatch": ".2f", "inner_steps_per_second": ",.0f"},
    )
    write_rows(options.output, "benchmarks.host_overhead", [row])


if __name__ == "__main__":
    main()
