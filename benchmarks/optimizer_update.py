"""What one update of each optimizer costs: time, compilation, memory; as multiples of `optax.adam` in the same run.

    python -m benchmarks.optimizer_update [--rules AdafacMLP VeLO] [--trees mlp] [--output results/optimizer_update]

An update is `update` and `apply_updates`, compiled, with parameters and state donated. The trees are those of the
field's tables: (a) an MLP 784-800-400-10, 952,410 parameters in 6 tensors, and (b) a transformer of width 128 and 4
layers, 1,063,680 parameters in 53 tensors. Rules are at their published sizes. Every repetition times Adam and the rule
next to each other, so that a busy machine slows both; the ratio is that of the medians. Temporary memory, in bytes per
parameter (B/p), is what the compiled program reserves beside its arguments and results. The columns of fast math are of
rule and Adam compiled with `FAST_MATH`, by turns with the others.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.progress import track
from rich.table import Table

from heurax.rules import RULES, Celo2, LearnedOptimizer, MuP, OptaxOptimizer

FAST_MATH: dict[str, str | bool] = {"xla_cpu_enable_fast_math": True, "xla_cpu_prefer_vector_width": "512"}
"""Options of XLA's for CPUs: sums may be added in any order, as vector instructions need it, and these may be wide."""

NUM_STEPS = 1000
REPEATS = 15
MIN_SECONDS = 0.02
"""Updates are repeated back to back until they fill this time."""


def mlp_tree() -> dict[str, tuple[int, ...]]:
    """Shapes of the MLP."""
    sizes = (784, 800, 400, 10)
    weights = {f"w{i}": (sizes[i], sizes[i + 1]) for i in range(3)}
    return weights | {f"b{i}": (sizes[i + 1],) for i in range(3)}


def transformer_tree() -> dict[str, tuple[int, ...]]:
    """Shapes of the transformer: 12 tensors a block, two embeddings, the last norm and the output layer."""
    width, vocabulary, length, num_layers = 128, 1000, 128, 4
    block = dict.fromkeys(("query", "key", "value", "out"), (width, width))
    block |= {"mlp_in": (width, 4 * width), "mlp_in_bias": (4 * width,)}
    block |= {"mlp_out": (4 * width, width), "mlp_out_bias": (width,)}
    block |= dict.fromkeys(("norm1_scale", "norm1_bias", "norm2_scale", "norm2_bias"), (width,))
    tree = {f"block{i}_{name}": shape for i in range(num_layers) for name, shape in block.items()}
    tree |= {"embedding": (vocabulary, width), "positions": (length, width), "head": (width, vocabulary)}
    return tree | {"norm_scale": (width,), "norm_bias": (width,)}


TREES = {"mlp": mlp_tree, "transformer": transformer_tree}


def optimizers() -> dict[str, LearnedOptimizer]:
    """The rules at their published sizes, by the name that the table gives them."""
    wrappers = (MuP, OptaxOptimizer)
    rules = {n: r() for n, r in RULES.items() if issubclass(r, LearnedOptimizer) and r not in wrappers}
    base = Celo2(orthogonalise=False, route_vectors=False, route_paths="")
    return rules | {"Celo2 base": base, "Adam": OptaxOptimizer("adam")}


class Update:
    """An update on one tree, compiled with some options and ready to be timed."""

    def __init__(
        self, rule: LearnedOptimizer, shapes: dict[str, tuple[int, ...]], options: dict[str, str | bool]
    ) -> None:
        keys = jax.random.split(jax.random.key(0), 2 * len(shapes) + 1)
        self.params = {n: 0.1 * jax.random.normal(k, s) for k, (n, s) in zip(keys, shapes.items(), strict=False)}
        self.grads = {
            n: 0.01 * jax.random.normal(k, s) for k, (n, s) in zip(keys[len(shapes) :], shapes.items(), strict=False)
        }
        theta = rule.init(keys[-1])

        def update(theta: Any, params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
            updates, state = rule.optimizer(theta, NUM_STEPS).update(grads, state, params, value=jnp.float32(1.0))
            return optax.apply_updates(params, updates), state

        self.state = jax.jit(rule.optimizer(theta, NUM_STEPS).init)(self.params)
        lowered = jax.jit(update, donate_argnums=(1, 2)).lower(theta, self.params, self.state, self.grads)
        started = time.perf_counter()
        compiled = lowered.compile(options)
        self.compile_seconds = time.perf_counter() - started
        self.compiled, self.theta, self.count = compiled, theta, 1
        memory = compiled.memory_analysis()
        self.temporary_bytes = 0 if memory is None else memory.temp_size_in_bytes
        self.state_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(self.state))
        self.num_params = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        self()
        self.count = max(1, round(MIN_SECONDS / self()))

    def __call__(self) -> float:
        """Seconds per update, over `count` updates."""
        started = time.perf_counter()
        for _ in range(self.count):
            self.params, self.state = self.compiled(self.theta, self.params, self.state, self.grads)
        jax.block_until_ready((self.params, self.state))
        return (time.perf_counter() - started) / self.count


def measure(name: str, rule: LearnedOptimizer, tree: str, adam: Update, fast_adam: Update) -> dict[str, Any]:
    """One row of the table."""
    update, fast_update = (Update(rule, TREES[tree](), options) for options in ({}, FAST_MATH))
    turns = np.array([(adam(), update(), fast_adam(), fast_update()) for _ in range(REPEATS)])
    adam_seconds, seconds, fast_adam_seconds, fast_seconds = np.median(turns, axis=0)
    return {
        "rule": name,
        "tree": tree,
        "milliseconds": 1e3 * float(seconds),
        "ratio_to_adam": float(seconds / adam_seconds),
        "adam_milliseconds": 1e3 * float(adam_seconds),
        "fast_math_milliseconds": 1e3 * float(fast_seconds),
        "fast_math_ratio_to_adam": float(fast_seconds / fast_adam_seconds),
        "compile_seconds": update.compile_seconds,
        "temporary_bytes_per_parameter": update.temporary_bytes / update.num_params,
        "state_bytes_per_parameter": update.state_bytes / update.num_params,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = optimizers()
    parser.add_argument("--rules", nargs="+", default=list(known), choices=list(known), metavar="RULE")
    parser.add_argument("--trees", nargs="+", default=list(TREES), choices=list(TREES), metavar="TREE")
    parser.add_argument("--output", type=Path, help="folder for optimizer_update.json")
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)  # compile times are measured

    rows = []
    for tree in options.trees:
        adams = [Update(OptaxOptimizer("adam"), TREES[tree](), compiled_with) for compiled_with in ({}, FAST_MATH)]
        rows += [measure(name, known[name], tree, *adams) for name in track(options.rules, tree, transient=True)]
    table = Table(title=f"one update on {os.cpu_count()} cores, {jax.devices()[0].device_kind}", title_justify="left")
    for heading in ("rule", "tree", "ms", "x Adam", "fast math", "compile s", "temp B/p", "state B/p"):
        table.add_column(heading, justify="left" if heading in ("rule", "tree") else "right")
    for row in rows:
        ratios = (row["ratio_to_adam"], row["fast_math_ratio_to_adam"])
        numbers = (row["milliseconds"], *ratios, row["compile_seconds"])
        sizes = (row["temporary_bytes_per_parameter"], row["state_bytes_per_parameter"])
        table.add_row(row["rule"], row["tree"], *(f"{x:.2f}" for x in numbers), *(f"{x:.1f}" for x in sizes))
    Console().print(table)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "optimizer_update.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
