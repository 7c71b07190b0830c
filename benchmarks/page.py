"""Writes `docs/performance.md` from the results of the benchmarks; a test holds the page to them.

python -m benchmarks.page
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from heurax.files import write_text

__all__ = ["page"]

PAGE = Path("docs/performance.md")
Rows = Sequence[Mapping[str, Any]]


def load(results: Path, path: str) -> Any:
    """A JSON file of the results."""
    return json.loads((results / path).read_text())


def table(rows: Rows, columns: Mapping[str, tuple[str, str]]) -> str:
    """A Markdown table; `columns` maps a heading to a field and its format."""
    lines = [f"| {' | '.join(columns)} |"]
    lines.append(f"|{'|'.join('---' if form == '' else '--:' for _, form in columns.values())}|")
    for row in rows:
        cells = (("" if row.get(name) is None else format(row[name], form)) for name, form in columns.values())
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(results: Path = Path("results")) -> str:
    """The page's text."""
    outer = load(results, "outer_throughput/outer_throughput.json")
    peer = load(results, "peer/peer.json")["rows"]
    roofline = load(results, "roofline/roofline.json")["rows"]
    peak, *pieces = roofline
    by_piece = {row["piece"]: row for row in pieces}
    meta = load(results, "meta_gradients/meta_gradients.json")["rows"]
    population = load(results, "population/population.json")["rows"]
    (host,) = load(results, "host_overhead/host_overhead.json")["rows"]
    objectives = load(results, "objectives_speed/objectives.json")["rows"]
    ppo = load(results, "ppo_speed/ppo_speed.json")
    ppo_rows = [
        {
            "task": task,
            "implementation": name,
            **row,
            "ratio": rows["heurax"]["steps_per_second"] / row["steps_per_second"],
        }
        for task, rows in ppo.items()
        for name, row in rows.items()
    ]
    adam, learned = by_piece["+ Adam"], by_piece["+ AdafacMLP"]
    gradient, batch = by_piece["+ gradients"], by_piece["batches"]
    whole = by_piece["outer step, AdafacMLP"]
    environment = outer["environment"]
    share = lambda part: f"{part / whole['microseconds']:.0%}"  # noqa: E731 # of the time of an inner step
    return f"""# Performance

What meta-training costs, how near that is to what the machine can do, and where the rest goes. Every figure was
measured by a script of `benchmarks/` and is read from `results/`; this page is written by `python -m benchmarks.page`.
Measure your own machine with

```bash
python -m benchmarks --output my_results
```

Here: {outer["cores"]} cores of a shared virtual machine ({environment["platform"].split("-with")[0]}), jax
{
        environment["packages"]["jax"]
    }. Its speed changes from minute to minute by a quarter, so compare ratios. The *calibration*
rows train the same lifetimes with `optax.adam` in place of a rule, in turns with it; the share of Adam's speed that is
left carries over to other machines.

## Outer-loop throughput

Digits, MLP 64-32-10 with 2,410 parameters, batch 128, horizon 1,000; N tasks x windows of T steps, so 2NT inner steps
per outer step of evolution strategies. *times peer*: against google/learned_optimization, on its fastest path, on a
machine of the same kind at another time (`python -m benchmarks.outer_throughput`).

{
        table(
            outer["rows"],
            {
                "estimator": ("estimator", ""),
                "rule": ("rule", ""),
                "N x T": ("size", ""),
                "inner steps/s": ("inner_steps_per_second", ",.0f"),
                "Adam": ("adam", ",.0f"),
                "share of Adam": ("share_of_adam", ".0%"),
                "times peer": ("times_peer", ".1f"),
                "compile s": ("compile_seconds", ".1f"),
                "peer's": ("peer_compile", ".0f"),
            },
        )
    }

By turns with the peer's release on PyPI, of 2022, on the same JAX (`python -m benchmarks.peer --help`); *scalar* is its
own faster path for `AdafacMLP`:

{
        table(
            peer,
            {
                "estimator": ("estimator", ""),
                "rule": ("rule", ""),
                "peer's path": ("path", ""),
                "N x T": ("size", ""),
                "inner steps/s": ("inner_steps_per_second", ",.0f"),
                "peer's steps/s": ("peer", ",.0f"),
                "times peer": ("times_peer", ".1f"),
                "compile s": ("compile_seconds", ".1f"),
                "peer's compile s": ("peer_compile", ".1f"),
            },
        )
    }

## Roofline

One core was measured to multiply matrices at {peak["gflops"]:.0f} GFLOP/s and to stream {
        peak["gigabytes_per_second"]:.1f}
GB/s from memory. Operations and bytes of one inner step of one lifetime are counted from the compiled program, with
eight lifetimes to a core; bytes count what kernels read and write, most of which the caches serve, so that their share
of the memory's bandwidth can exceed 100% (`python -m benchmarks.roofline`).

{
        table(
            pieces,
            {
                "program": ("piece", ""),
                "us per step": ("microseconds", ".1f"),
                "kFLOP": ("kiloflops", ",.0f"),
                "kB": ("kilobytes", ",.0f"),
                "GFLOP/s": ("gflops", ".1f"),
                "of the peak": ("share_of_peak_flops", ".0%"),
                "of the bandwidth": ("share_of_peak_bandwidth", ".0%"),
            },
        )
    }

Where an inner step of `PersistentES` with `AdafacMLP` at 8 x 10 goes: drawing the batch
{share(batch["microseconds"])}, the model's gradient {
        share(gradient["microseconds"] - batch["microseconds"])
    }, the learned
update {share(learned["microseconds"] - gradient["microseconds"])} (Adam's would take
{
        share(adam["microseconds"] - gradient["microseconds"])
    }), and the outer step, with perturbations, fresh lifetimes and the
other core's wait, {share(whole["microseconds"] - learned["microseconds"])}.

What keeps it from the peak: the matrices are small (128 x 64 x 32), and a product of such a size reaches a sixth of the
peak. The learned update has no large products at all: it is some 250 multiplications per parameter with features that a
reduction over the tensor must have finished first. What a step costs beside its work, some 130 kernels to launch, is
shared by the lifetimes of a core, and shows in the growth of throughput with the population below.

What made it fast, each measured before it stayed: lifetimes begin and end at the edges of windows, so that no inner
step pays for resets; features and network are one elementwise program per tensor, with all its statistics one
reduction; the same network is a product of matrices under reverse mode, where XLA would otherwise compute the features
again for every weight, and on tensors whose rows fill no vector register; each core is a device of its own; a batch's
indices are one draw of random bits, not a split and two; noise is one expression instead of a loop; LLVM's dearer
passes and XLA's library of fused kernels are off on CPUs, where they cost more than they gain; sums may be added in any
order, so that statistics are vector instructions (`heurax.runs.devices.CPU_OPTIONS` says what else that allows, and how
to forbid it).

What made it compile faster, each kernel being some 10 to 20 ms of a core: noise, gradients and outer optimizers work on
`theta` as one vector; what all tensors of a rule share is computed once; a task draws nothing where it has no choice;
labels are compared, not indexed with.

## Meta-gradients and memory

Through 200 inner steps of the digits MLP, 8 tasks, `AdafacMLP` (`python -m benchmarks.meta_gradients`). Computing every
step again in the backward pass is the *faster* way here: what a step leaves behind stays in the cache.

{
        table(
            [row | {"remat": str(row["remat"]), "mixed_mode": "yes" if row["mixed_mode"] else "no"} for row in meta],
            {
                "remat": ("remat", ""),
                "mixed mode": ("mixed_mode", ""),
                "inner steps/s": ("inner_steps_per_second", ",.0f"),
                "times forward": ("times_forward", ".1f"),
                "times plain": ("times_plain", ".2f"),
                "MB": ("megabytes", ",.0f"),
                "compile s": ("compile_seconds", ".1f"),
            },
        )
    }

## Lifetimes in parallel

`TruncatedES`, windows of 10 (`python -m benchmarks.population`). Memory is linear in lifetimes.

{
        table(
            population,
            {
                "rule": ("rule", ""),
                "lifetimes": ("lifetimes", ",d"),
                "inner steps/s": ("inner_steps_per_second", ",.0f"),
                "times that of 8": ("times_that_of_8", ".2f"),
                "kB per lifetime": ("kilobytes_per_lifetime", ",.0f"),
            },
        )
    }

## The host

The quick start, whole, with logs and checkpoints: {host["outer_steps"]:,} outer steps in {
        host["seconds"]:.0f} s, of which
the host takes {host["host_share"]:.1%} (`python -m benchmarks.host_overhead`).

## Optimizer updates

In multiples of Adam's: see [Learned optimizers](guides/learned-optimizers.md)
(`python -m benchmarks.optimizer_update`).

## Reinforcement learning

Whole PPO runs, same settings, by turns (`python -m benchmarks.ppo`):

{
        table(
            ppo_rows,
            {
                "task": ("task", ""),
                "implementation": ("implementation", ""),
                "environment steps/s": ("steps_per_second", ",.0f"),
                "heurax / it": ("ratio", ".2f"),
                "compile s": ("compile_seconds", ".1f"),
            },
        )
    }

Meta-training objectives for tabular agents on grid worlds, 8 agents with 16 workers
(`python -m benchmarks.objectives`):

{
        table(
            objectives,
            {
                "rule": ("rule", ""),
                "method": ("method", ""),
                "s per meta-step": ("seconds_per_meta_step", ".2f"),
                "environment steps/s": ("env_steps_per_second", ",.0f"),
                "compile s": ("compile_seconds", ".1f"),
                "MB": ("megabytes", ",.0f"),
            },
        )
    }

## Kept so

Continuous integration runs `python -m benchmarks.guard`, which fails when the share of Adam's speed falls by more than
30% from the recorded one.
"""


def main() -> None:
    write_text(PAGE, page())


if __name__ == "__main__":
    main()
