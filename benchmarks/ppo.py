"""Environment steps per second of whole PPO training runs, beside a single-file PPO and brax's own trainer.

    python -m benchmarks.ppo [--tasks cartpole breakout hopper] [--repeats 5] [--output results/ppo_speed]

Same settings, same process, alternating runs; the median is reported, compilation apart. Ours is `PPO` under
`heurax.inner.train`; the single-file PPO (`benchmarks/single_file_ppo.py`) stands for what a user writes on gymnax or
brax; brax's own trainer is `brax.training.agents.ppo`, with its evaluations switched off.
"""

import argparse
import dataclasses
import functools
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.single_file_ppo import Settings, make_train
from heurax.envs import Brax, Environment, Gymnax
from heurax.inner import PPO, MLPNetwork, train
from heurax.rules import OptaxOptimizer, PPOClip

TASKS = {
    "cartpole": Settings("CartPole-v1", num_updates=60),
    "breakout": Settings("Breakout-MinAtar", num_updates=25, num_minibatches=8, activation="relu", learning_rate=5e-3),
    "hopper": Settings(
        "hopper",
        num_updates=200,
        num_steps=10,
        num_minibatches=8,
        learning_rate=3e-4,
        anneal=False,
        entropy_weight=0.0,
        brax_backend="spring",
    ),
}
"""The issue's three: 64 environments, 4 epochs, two layers of 64 units."""


@dataclass(frozen=True)
class Runner:
    """A compiled training run: how long it took to compile, and a function that trains and returns steps per second."""

    compile_seconds: float
    steps_per_second: Callable[[int], float]


def as_ppo(s: Settings) -> PPO:
    """Our PPO with the same settings."""
    env: Environment = Gymnax(s.name) if s.brax_backend is None else Brax(s.name, s.brax_backend, reset_policy="first")  # pyright: ignore[reportArgumentType] # a backend's name
    normalise = s.brax_backend is not None
    return PPO(
        rule=PPOClip(s.clip),
        env=env,
        num_steps=s.num_updates,
        num_envs=s.num_envs,
        num_rollout_steps=s.num_steps,
        num_epochs=s.num_epochs,
        num_minibatches=s.num_minibatches,
        discount=s.discount,
        trace_decay=s.gae_lambda,
        entropy_weight=s.entropy_weight,
        value_weight=s.value_weight,
        value_clip=s.clip,
        max_gradient_norm=s.max_gradient_norm,
        optimizer=OptaxOptimizer("adam", s.learning_rate, {"eps": 1e-5}, "linear" if s.anneal else "constant"),
        network=MLPNetwork((s.hidden_size,) * 2, s.activation),  # pyright: ignore[reportArgumentType] # a name
        normalise_observations=normalise,
        normalise_rewards=normalise,
    )


def runner(function: Callable[[jax.Array], Any], num_env_steps: int) -> Runner:
    """Compile a function from a key."""
    started = time.perf_counter()
    compiled = jax.jit(function).lower(jax.random.key(0)).compile()
    compile_seconds = time.perf_counter() - started

    def steps_per_second(seed: int) -> float:
        key = jax.random.key(seed)
        started = time.perf_counter()
        jax.block_until_ready(compiled(key))
        return num_env_steps / (time.perf_counter() - started)

    return Runner(compile_seconds, steps_per_second)


def brax_runner(s: Settings) -> Runner:
    """Brax's trainer: every call trains in several epochs of which all but the first two are timed.

    It compiles anew in every call, in the first epoch and, for other layouts, in the second. It still calls a function
    that jax 0.10 has dropped, which is given back to it here.
    """
    jax.device_put_replicated = lambda tree, devices: jax.tree.map(lambda x: jnp.stack([x] * len(devices)), tree)
    from brax import envs
    from brax.training.agents.ppo import networks
    from brax.training.agents.ppo import train as brax_ppo

    num_epochs = 5
    epoch_steps = s.num_updates * s.num_envs * s.num_steps
    factory = functools.partial(
        networks.make_ppo_networks,
        policy_hidden_layer_sizes=(s.hidden_size,) * 2,
        value_hidden_layer_sizes=(s.hidden_size,) * 2,
        activation=jnp.tanh,
    )

    def call(seed: int) -> list[float]:
        times = [time.perf_counter()]
        brax_ppo.train(
            environment=envs.get_environment(s.name, backend=s.brax_backend),
            num_timesteps=num_epochs * epoch_steps,
            episode_length=1000,
            num_envs=s.num_envs,
            unroll_length=s.num_steps,
            batch_size=s.num_envs // s.num_minibatches,
            num_minibatches=s.num_minibatches,
            num_updates_per_batch=s.num_epochs,
            learning_rate=s.learning_rate,
            entropy_cost=s.entropy_weight,
            discounting=s.discount,
            gae_lambda=s.gae_lambda,
            clipping_epsilon=s.clip,
            max_grad_norm=s.max_gradient_norm,
            normalize_observations=True,
            network_factory=factory,
            num_evals=num_epochs + 1,
            run_evals=False,
            seed=seed,
            policy_params_fn=lambda *_: times.append(time.perf_counter()),
        )
        return times

    times = call(0)
    steady = float(np.median(np.diff(times[-num_epochs + 2 :])))
    compile_seconds = times[-num_epochs + 1] - times[0] - 2 * steady

    def steps_per_second(seed: int) -> float:
        times = call(seed)
        return epoch_steps / float(np.median(np.diff(times[-num_epochs + 2 :])))

    return Runner(compile_seconds, steps_per_second)


def measure(s: Settings, repeats: int) -> dict[str, dict[str, Any]]:
    """Speeds of all implementations of a task, in alternation."""
    num_env_steps = s.num_updates * s.num_envs * s.num_steps
    inner = as_ppo(s)
    runners = {
        "heurax": runner(lambda key: train(inner, (), key).metrics["episode_return"], num_env_steps),
        "single file": runner(lambda key: make_train(s)(key)[1], num_env_steps),
    }
    if s.brax_backend is not None:
        runners["brax"] = brax_runner(s)
    speeds: dict[str, list[float]] = {name: [] for name in runners}
    for seed in range(repeats + 1):
        for name, each in runners.items():
            speed = each.steps_per_second(seed)
            if seed:  # the first run warms up
                speeds[name].append(speed)
    return {
        name: {
            "steps_per_second": float(np.median(speeds[name])),
            "steps_per_second_by_run": speeds[name],
            "compile_seconds": each.compile_seconds,
        }
        for name, each in runners.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--updates", type=int, help="updates per run, instead of each task's own")
    parser.add_argument("--output", type=Path, help="folder for ppo_speed.json")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # brax says that its physics are no longer developed

    results = {}
    table = Table(title=f"whole PPO runs on {len(os.sched_getaffinity(0))} CPU cores", title_justify="left")
    for heading in ("task", "implementation", "environment steps/s", "compile s", "heurax / it"):
        table.add_column(heading, justify="left" if heading in ("task", "implementation") else "right")
    for task in options.tasks:
        s = TASKS[task]
        if options.updates:
            s = dataclasses.replace(s, num_updates=options.updates)
        results[task] = measure(s, options.repeats)
        ours = results[task]["heurax"]["steps_per_second"]
        for name, row in results[task].items():
            speed = row["steps_per_second"]
            table.add_row(task, name, f"{speed:,.0f}", f"{row['compile_seconds']:.1f}", f"{ours / speed:.2f}")
    Console().print(table)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "ppo_speed.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
