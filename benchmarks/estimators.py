"""What every estimator is worth on the same problems: bias, variance, inner steps, time, memory, and learning curves.

    python -m benchmarks.estimators [--quick]

Two problems. `learned_optimizer`: an MLP optimizer of 250 meta-parameters on noisy quadratics in 16 dimensions, over
100 steps. `influence_balancing`: one meta-parameter, an exact gradient, and windows that mislead whoever looks at
nothing else. All estimators have the same number of tasks, the same window and the same `sigma`, and may spend the same
number of inner steps, differentiated ones counted as any other. Each has the best of three learning rates of Adam, by
the mean log loss over its learning curve, and three seeds. The dotted line is Adam itself in the inner loop, with the
best of 13 learning rates.

With `g` the estimate at a fixed theta and `G` the exact gradient of the mean loss of a lifetime:

    bias      E[g] . G / |G|^2 - 1           0: unbiased; below -1: against the gradient
    cosine    between E[g] and G, norms corrected for noise
    variance  E |g - E g|^2 / |G|^2          of one estimate
    cost      variance x inner steps         inner steps until the signal is as large as the noise

Writes `results/estimators/estimators.json` and `docs/figures/estimators.png`, or both to a directory `--out`; with
`--quick`, to such a directory only.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec
from rich.console import Console

from benchmarks.estimators_report import figure, table
from heurax.inner import InfluenceBalancing, InnerLoop, SupervisedTraining
from heurax.outer import (
    Average,
    Bootstrapped,
    ESSingle,
    Estimator,
    ForwardGradient,
    FullES,
    FullGradient,
    GuidedES,
    MixedSteps,
    NoiseReuseES,
    PersistentES,
    Replay,
    TruncatedES,
    TruncatedGradient,
)
from heurax.outer.trees import to_vector
from heurax.outer.unroll import unroll
from heurax.rules import LearnableAdam, MLPOptimizer
from heurax.runs import split_cpu, tasks_mesh
from heurax.runs.provenance import environment
from heurax.tasks import Quadratic

ROOT = Path(__file__).resolve().parents[1]
NUM_POINTS = 40
"""Points of a learning curve."""
RATES = (3e-3, 1e-2, 3e-2)
NUM_SEEDS = 3
NUM_JUDGES = 64
"""Lifetimes that judge a theta, the same for all."""


@dataclass(frozen=True)
class Problem:
    """An inner loop, and the settings that all estimators have in common on it.

    Args:
        inner: the inner loop.
        num_tasks: tasks in parallel.
        window: inner steps of a window.
        sigma: standard deviation of perturbations.
        budget: inner steps that a learning curve, and likewise the measurement of a bias, may take.
        warm_up: points of the learning curve of `FullGradient` after which theta is held fixed to measure biases.
    """

    inner: InnerLoop
    num_tasks: int
    window: int
    sigma: float
    budget: int
    warm_up: int

    def estimators(self) -> dict[str, Estimator]:
        """All of them, alike as far as they can be."""
        tasks: dict[str, Any] = {"num_tasks": self.num_tasks}
        window: dict[str, Any] = {"window": self.window}
        noise: dict[str, Any] = {"sigma": self.sigma}
        all_of_them = (
            FullGradient(**tasks),
            Replay(**tasks),
            TruncatedGradient(**tasks, **window),
            MixedSteps(**tasks, **window),
            Bootstrapped(**tasks, **window),
            ForwardGradient(**tasks, **window, num_directions=4),
            FullES(**tasks, **noise),
            GuidedES(**tasks, **window, **noise),
            PersistentES(**tasks, **window, **noise),
            NoiseReuseES(**tasks, **window, **noise),
            ESSingle(**tasks, **window, **noise),
            TruncatedES(**tasks, **window, **noise),
            Average((NoiseReuseES(**tasks, **window, **noise), TruncatedGradient(**tasks, **window))),
        )
        return {type(estimator).__name__: estimator for estimator in all_of_them}


LEARNED = SupervisedTraining(
    MLPOptimizer(hidden_size=8, step_mult=0.1),
    Quadratic(dimension=16, condition_number=100.0, noise=0.1),
    num_steps=100,
    loss_cap=100.0,
)
PROBLEMS = {
    "learned_optimizer": Problem(LEARNED, num_tasks=8, window=10, sigma=0.02, budget=200_000, warm_up=2),
    "influence_balancing": Problem(InfluenceBalancing(), num_tasks=20, window=5, sigma=0.1, budget=400_000, warm_up=0),
}


class State(NamedTuple):
    """Between two outer steps."""

    theta: Any
    adam: Any
    estimator: Any
    key: Any


class Program:
    """Outer steps of Adam on one estimator, compiled once for all learning rates; at a rate of 0, theta stays.

    Args:
        inner: the inner loop.
        estimator: of its meta-gradient.
        num_steps: outer steps per call of `advance`, which returns their gradients `[steps, n]`.
    """

    def __init__(self, inner: InnerLoop, estimator: Estimator, num_steps: int) -> None:
        adam, axis = optax.scale_by_adam(), "tasks"
        specs = State(PartitionSpec(), PartitionSpec(), PartitionSpec(axis), PartitionSpec())

        def begin(theta: Any, key: Any) -> State:
            key_init, key_steps = jax.random.split(key)
            return State(theta, adam.init(theta), estimator.init(inner, theta, key_init, axis), key_steps)

        def advance(state: State, rate: Any) -> tuple[State, Any]:
            def step(state: State, _: Any) -> tuple[State, Any]:
                key, key_next = jax.random.split(state.key)
                estimate, after = estimator.estimate(inner, state.theta, state.estimator, key, axis)
                updates, adam_state = adam.update(estimate.gradient, state.adam)
                theta = jax.tree.map(lambda t, u: t - rate * u, state.theta, updates)
                return State(theta, adam_state, after, key_next), to_vector(estimate.gradient)

            return jax.lax.scan(step, state, None, length=num_steps)

        def sharded(fn: Callable[..., Any], into: Any, out: Any) -> Any:
            mesh = tasks_mesh(estimator.num_tasks)
            return jax.jit(jax.shard_map(fn, mesh=mesh, in_specs=into, out_specs=out, check_vma=False))

        self._begin = sharded(begin, PartitionSpec(), specs)
        state = self._begin(inner.rule.init(jax.random.key(0)), jax.random.key(0))
        compiled = sharded(advance, (specs, PartitionSpec()), (specs, PartitionSpec()))
        started = time.perf_counter()
        self._advance = compiled.lower(state, jnp.float32(0)).compile()
        self.compile_seconds = time.perf_counter() - started
        self.memory_bytes = self._advance.memory_analysis().temp_size_in_bytes
        self.num_steps = num_steps
        self.seconds: list[float] = []

    def run(self, theta: Any, seed: int, rate: float, num_calls: int) -> tuple[list[Any], np.ndarray]:
        """The theta before and after every call, and all gradients `[steps, n]`."""
        state = self._begin(theta, jax.random.key(seed))
        thetas, gradients = [theta], []
        for _ in range(num_calls):
            started = time.perf_counter()
            state, of_call = self._advance(state, jnp.float32(rate))
            gradients.append(np.asarray(of_call))
            self.seconds.append((time.perf_counter() - started) / self.num_steps)
            thetas.append(jax.device_get(state.theta))
        return thetas, np.concatenate(gradients)


def judge(inner: InnerLoop) -> Callable[[list[Any]], list[float]]:
    """A function from thetas to their mean losses over whole lifetimes, on tasks that no estimator has seen."""
    keys = jax.random.split(jax.random.key(2**20), NUM_JUDGES)

    def loss(theta: Any) -> Any:
        def live(key: Any) -> Any:
            key_init, key_unroll = jax.random.split(key)
            return unroll(inner, theta, inner.init(theta, key_init), key_unroll, inner.num_steps, "mean")[1]

        return jnp.mean(jax.vmap(live)(keys))

    losses = jax.jit(lambda thetas: jax.lax.map(loss, thetas))
    return lambda thetas: [float(x) for x in losses(jax.tree.map(lambda *leaves: jnp.stack(leaves), *thetas))]


def lifetime_means(gradients: np.ndarray, estimator: Estimator, inner: InnerLoop) -> np.ndarray:
    """Means over the estimates of one lifetime, which hang together, after the first lifetime: `[lifetimes, n]`."""
    part = estimator.estimators[0] if isinstance(estimator, Average) else estimator
    whole = isinstance(part, FullGradient | Replay | FullES | GuidedES)
    length = 1 if whole else inner.num_steps // getattr(part, "window", inner.num_steps)
    count = len(gradients) // length
    return gradients[: count * length].reshape(count, length, -1).mean(1)[1:]


def compare(samples: np.ndarray, exact: np.ndarray) -> dict[str, float]:
    """Bias and cosine of independent estimates against independent draws of the exact gradient, both `[draws, n]`."""

    def norm(x: np.ndarray) -> float:
        """Of the mean, without the share of the noise."""
        count = len(x)
        return float(np.sqrt(max((np.sum(x.sum(0) ** 2) - np.sum(x**2)) / (count * (count - 1)), 1e-30)))

    def error(towards_samples: np.ndarray, towards_exact: np.ndarray) -> float:
        """To first order, of a function with these derivatives."""
        pairs = ((samples, towards_samples), (exact, towards_exact))
        return float(np.sqrt(sum(np.var(x @ slope, ddof=1) / len(x) for x, slope in pairs)))

    mean, truth, norm_mean, norm_truth = samples.mean(0), exact.mean(0), norm(samples), norm(exact)
    share = float(mean @ truth) / norm_truth**2
    cosine = float(mean @ truth) / (norm_mean * norm_truth)
    return {
        "bias": share - 1,
        "bias_error": error(truth / norm_truth**2, (mean - 2 * share * truth) / norm_truth**2),
        "cosine": max(-1.0, min(1.0, cosine)),
        "cosine_error": error(
            (truth / norm_truth - cosine * mean / norm_mean) / norm_mean,
            (mean / norm_mean - cosine * truth / norm_truth) / norm_truth,
        ),
    }


def measure(problem: Problem, rates: tuple[float, ...], num_seeds: int, console: Console) -> dict[str, Any]:
    """All estimators on one problem, as a record for the JSON file."""
    inner, judged, record = problem.inner, judge(problem.inner), {}
    theta, exact = inner.rule.init(jax.random.key(0)), np.zeros((0, 0))
    for name, estimator in problem.estimators().items():
        inner_steps = estimator.inner_steps(inner)
        program = Program(inner, estimator, max(1, round(problem.budget / NUM_POINTS / inner_steps)))

        def learn(rate: float, seed: int, program: Program = program) -> tuple[list[float], list[Any]]:
            thetas, _ = program.run(inner.rule.init(jax.random.key(seed)), seed, rate, NUM_POINTS)
            return judged(thetas), thetas

        first = {rate: learn(rate, 0) for rate in rates}
        best = min(rates, key=lambda rate: np.nan_to_num(np.log(first[rate][0]).mean(), nan=np.inf))
        curves = [first[best][0], *(learn(best, seed)[0] for seed in range(1, num_seeds))]
        if name == "FullGradient":  # it comes first, and gives the theta of the comparison, and its exact gradient
            theta = first[best][1][problem.warm_up]
            exact = lifetime_means(program.run(theta, 101, 0.0, 3 * NUM_POINTS)[1], estimator, inner)
        _, gradients = program.run(theta, 100, 0.0, NUM_POINTS)
        variance = float(np.sum(np.var(gradients, axis=0, ddof=1)) / np.sum(exact.mean(0) ** 2))
        record[name] = {
            **compare(lifetime_means(gradients, estimator, inner), exact),
            "variance": variance,
            "inner_steps": inner_steps,
            "cost": variance * inner_steps,
            "milliseconds": 1e3 * float(np.median(program.seconds)),
            "memory_bytes": program.memory_bytes,
            "compile_seconds": program.compile_seconds,
            "learning_rate": best,
            "curve_inner_steps": [i * program.num_steps * inner_steps for i in range(NUM_POINTS + 1)],
            "curves": curves,
        }
        console.print(
            f"{name}: {record[name]['milliseconds']:.2f} ms, loss {curves[0][-1]:.4g} at {best:g}", highlight=False
        )
    return record


def tuned_adam(inner: SupervisedTraining) -> float:
    """The mean loss over a lifetime of Adam, with the best of 13 learning rates."""
    thetas = [LearnableAdam(rate).init(jax.random.key(0)) for rate in np.logspace(-3, 0, 13).tolist()]
    return min(judge(dataclasses.replace(inner, rule=LearnableAdam()))(thetas))


def rounded(value: Any) -> Any:
    """Floats at four significant digits."""
    if isinstance(value, dict):
        return {name: rounded(x) for name, x in value.items()}
    if isinstance(value, list):
        return [rounded(x) for x in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the inner steps, one rate, one seed")
    parser.add_argument("--out", type=Path, help="a directory for the results (default: those of the repository)")
    options = parser.parse_args()
    split_cpu(None)

    console = Console(width=150)
    record: dict[str, Any] = {
        "command": "python -m benchmarks.estimators",
        "environment": environment(),
        "problems": {},
    }
    for name, problem in PROBLEMS.items():
        rates, num_seeds = RATES, NUM_SEEDS
        if options.quick:
            problem, rates, num_seeds = dataclasses.replace(problem, budget=problem.budget // 10), RATES[1:2], 1
        record["problems"][name] = measure(problem, rates, num_seeds, console)
        console.print(table(name, record["problems"][name]))
    record["references"] = {"learned_optimizer": {"Adam, tuned": tuned_adam(LEARNED)}}
    if options.quick and options.out is None:
        return
    results, figures = ROOT / "results" / "estimators", ROOT / "docs" / "figures"
    if options.out is not None:
        results = figures = options.out
    results.mkdir(parents=True, exist_ok=True)
    (results / "estimators.json").write_text(json.dumps(rounded(record), separators=(",", ":")) + "\n")
    figure(record).savefig(figures / "estimators.png", dpi=150)


if __name__ == "__main__":
    main()
