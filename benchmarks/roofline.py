"""Operations and bytes of an inner step, counted from compiled programs; the machine's peak; where the time goes.

    python -m benchmarks.roofline [--output results/roofline]

Eight lifetimes of the digits MLP 64-32-10 (2,410 parameters, batch 128) on one core, as one device of the outer loop
has them. Each row adds a piece: drawing batches; gradients and a plain step; the optimizer. The last rows are the whole
outer step of `PersistentES` at 8 tasks x 10 steps on all cores, per step and core. Operations and bytes are XLA's count
for one step of one lifetime; bytes are those of the operands and results of its kernels, which caches may serve.

Peaks are measured too: the product of two float32 matrices of 1,024 rows, and `a + 2 b` on arrays beyond the caches.
"""

import argparse
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import CompiledRun, alternate, print_table, write_rows
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, PersistentES
from heurax.rules import AdafacMLP, LearnedOptimizer, OptaxOptimizer
from heurax.runs import split_cpu
from heurax.runs.devices import CPU_OPTIONS
from heurax.tasks.base import value_and_grad

NUM_LIFETIMES = 8
NUM_STEPS = 200
REPEATS = 9

Step = Callable[[Any, Any], Any]


def batches(inner: SupervisedTraining, carry: Any, key: Any) -> Any:
    """Draw a batch, and add up all of it."""
    state, total = carry
    batch = inner.task.batch(state.task, key)
    return state, total + sum(jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(batch))


def gradients(inner: SupervisedTraining, carry: Any, key: Any) -> Any:
    """A step of gradient descent."""
    state, total = carry
    batch = inner.task.batch(state.task, key)
    loss, gradient, _ = inner.task.loss_and_gradient(state.task, state.params, batch, state.memory, value_and_grad)
    params = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, gradient)
    return inner.with_params(state, params), total + loss


def steps(inner: SupervisedTraining, theta: Any, carry: Any, key: Any) -> Any:
    """A step of the inner loop."""
    state, total = carry
    state, result = inner.step(theta, state, key)
    return state, total + result.loss


def count(step: Step, carry: Any, keys: jax.Array) -> tuple[float, float]:
    """Floating-point operations and bytes of one step of one lifetime, by XLA's count."""
    compiled = jax.jit(jax.vmap(step)).lower(carry, keys).compile(CPU_OPTIONS)
    analysis: Any = compiled.cost_analysis()
    return analysis["flops"] / NUM_LIFETIMES, analysis["bytes accessed"] / NUM_LIFETIMES


def scanned(step: Step, carry: Any) -> Callable[[], float]:
    """Runs many steps of all lifetimes, and returns their seconds."""
    keys = jax.random.split(jax.random.key(1), (NUM_STEPS, NUM_LIFETIMES))
    run = jax.jit(lambda carry, keys: jax.lax.scan(lambda c, k: (jax.vmap(step)(c, k), None), carry, keys)[0])
    compiled = run.lower(carry, keys).compile(CPU_OPTIONS)

    def call() -> float:
        started = time.perf_counter()
        jax.block_until_ready(compiled(carry, keys))
        return time.perf_counter() - started

    call()
    return call


def timed(function: Callable[..., Any], *arguments: Any) -> float:
    """Median seconds of a jitted function on one device."""
    compiled = jax.jit(function).lower(*arguments).compile()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        jax.block_until_ready(compiled(*arguments))
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds))


def peaks() -> dict[str, float]:
    """Floating-point operations and bytes per second of one device."""
    matrix = jax.random.normal(jax.random.key(0), (1024, 1024))
    product = timed(lambda a, b: a @ b, matrix, matrix)
    array = jnp.ones(1 << 25)
    triad = timed(lambda a, b: a + 2 * b, array, array)
    return {"gflops": 2 * 1024**3 / product / 1e9, "gigabytes_per_second": 3 * array.nbytes / triad / 1e9}


def pieces() -> dict[str, tuple[Step, Any]]:
    """By name: a step, and what it starts from."""
    plain = SupervisedTraining(OptaxOptimizer("adam"), num_steps=1000)
    learned = SupervisedTraining(AdafacMLP(), num_steps=1000)

    def start(inner: SupervisedTraining) -> tuple[Any, Any]:
        theta = inner.rule.init(jax.random.key(0))
        keys = jax.random.split(jax.random.key(2), NUM_LIFETIMES)
        return theta, (jax.jit(jax.vmap(functools.partial(inner.init, theta)))(keys), jnp.zeros(NUM_LIFETIMES))

    theta_plain, carry_plain = start(plain)
    theta, carry = start(learned)
    return {
        "batches": (functools.partial(batches, plain), carry_plain),
        "+ gradients": (functools.partial(gradients, plain), carry_plain),
        "+ Adam": (functools.partial(steps, plain, theta_plain), carry_plain),
        "+ AdafacMLP": (functools.partial(steps, learned, theta), carry),
    }


def outer_row(name: str, rule: LearnedOptimizer) -> dict[str, Any]:
    """The whole outer step, per inner step and core."""
    run = CompiledRun(SupervisedTraining(rule, num_steps=1000), Descent(PersistentES(num_tasks=8, window=10)))
    (seconds,) = alternate([run], REPEATS)
    return {"piece": name, "microseconds": 1e6 * seconds * run.mesh.size / run.inner_steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="folder for roofline.json")
    options = parser.parse_args()
    split_cpu(None)

    known = pieces()
    keys = jax.random.split(jax.random.key(1), NUM_LIFETIMES)
    counts = {name: count(step, carry, keys) for name, (step, carry) in known.items()}
    runs = [scanned(step, carry) for step, carry in known.values()]
    seconds = dict(zip(known, alternate(runs, REPEATS), strict=True))
    peak = peaks()
    rows: list[dict[str, Any]] = []
    for name in known:
        each = seconds[name] / NUM_STEPS / NUM_LIFETIMES
        flops, num_bytes = counts[name]
        rows.append(
            {
                "piece": name,
                "microseconds": 1e6 * each,
                "kiloflops": flops / 1e3,
                "kilobytes": num_bytes / 1e3,
                "gflops": flops / each / 1e9,
                "share_of_peak_flops": flops / each / 1e9 / peak["gflops"],
                "share_of_peak_bandwidth": num_bytes / each / 1e9 / peak["gigabytes_per_second"],
            }
        )
    rows += [outer_row("outer step, Adam", OptaxOptimizer("adam")), outer_row("outer step, AdafacMLP", AdafacMLP())]
    title = f"one core: {peak['gflops']:.0f} GFLOP/s, {peak['gigabytes_per_second']:.1f} GB/s at most"
    formats = {"piece": "", "microseconds": ".1f", "kiloflops": ",.0f", "kilobytes": ",.0f", "gflops": ".1f"}
    print_table(title, rows, formats | {"share_of_peak_flops": ".0%", "share_of_peak_bandwidth": ".0%"})
    write_rows(options.output, "benchmarks.roofline", [{"piece": "peak of one core", **peak}, *rows])


if __name__ == "__main__":
    main()
