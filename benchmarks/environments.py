"""Environment steps per second of 64 copies under a random policy, ours and, in the same run, the raw libraries'.

    python -m benchmarks.environments [--num_envs 64] [--num_steps 200] [NAME ...]

Each row is the fastest of several runs of one scan, ours and the library's by turns. Both count one step of one copy,
automatic resets included. Ours also keep the true last observations and the statistics of episodes; where resets are
expensive, new starts come from `refresh_resets`, once per scan.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from heurax.envs import (
    Brax,
    Catch,
    DelayedChain,
    Environment,
    GridWorld,
    Gymnax,
    RandomMDP,
    Snake,
    refresh_resets,
    reset_batch,
    step_batch,
)
from heurax.envs.foreign import foreign_habits, import_library

REPEATS = 10

Run = Callable[[jax.Array], Any]


def ours(env: Environment, num_envs: int, num_steps: int) -> Run:
    """A scan of random actions from a fixed start."""
    level = env.sample(jax.random.key(0))
    start = jax.jit(lambda key: reset_batch(env, level, key, num_envs))(jax.random.key(0))

    def body(state: Any, key: jax.Array) -> tuple[Any, Any]:
        key_action, key_step = jax.random.split(key)
        action = jax.vmap(env.action_space.sample)(jax.random.split(key_action, num_envs))
        state, step = step_batch(env, level, state, action, key_step)
        return state, (step.reward.sum(), step.next_observation.sum())

    @jax.jit
    def run(key: jax.Array) -> Any:
        state = refresh_resets(env, level, start, key)
        return jax.lax.scan(body, state, jax.random.split(key, num_steps))[1]

    return run


def raw_gymnax(name: str, num_envs: int, num_steps: int) -> Run:
    """The same with gymnax's own step, which resets by itself."""
    with foreign_habits():
        env, params = import_library("gymnax").make(name)
        space = env.action_space(params)
        start = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(0), num_envs), params)[1]

    def body(state: Any, key: jax.Array) -> tuple[Any, Any]:
        key_action, key_step = jax.random.split(key)
        action = jax.vmap(space.sample)(jax.random.split(key_action, num_envs))
        keys = jax.random.split(key_step, num_envs)
        observation, new, reward, *_ = jax.vmap(env.step, (0, 0, 0, None))(keys, state, action, params)
        return jax.tree.map(lambda x, y: x.astype(y.dtype), new, state), (reward.sum(), observation.sum())

    @jax.jit
    def run(key: jax.Array) -> Any:
        with foreign_habits():
            return jax.lax.scan(body, start, jax.random.split(key, num_steps))[1]

    return run


def raw_brax(name: str, backend: str, num_envs: int, num_steps: int) -> Run:
    """The same with brax's training wrappers, whose episodes begin from the first states for ever."""
    envs = import_library("brax.envs")
    with foreign_habits():
        env = envs.training.wrap(envs.get_environment(name, backend=backend), 1000)
        start = jax.jit(env.reset)(jax.random.key_data(jax.random.split(jax.random.key(0), num_envs)))

    def body(state: Any, key: jax.Array) -> tuple[Any, Any]:
        action = jax.random.uniform(key, (num_envs, env.action_size), jnp.float32, -1.0, 1.0)
        new = jax.tree.map(lambda x, y: x.astype(y.dtype), env.step(state, action), state)
        return new, (new.reward.sum(), new.obs.sum())

    @jax.jit
    def run(key: jax.Array) -> Any:
        with foreign_habits():
            return jax.lax.scan(body, start, jax.random.split(key, num_steps))[1]

    return run


def seconds(runs: list[Run]) -> list[float]:
    """The fastest of several executions of each, taken by turns so that all meet the same machine."""
    best = [float("inf")] * len(runs)
    for repeat in range(REPEATS + 1):
        for i, run in enumerate(runs):
            started = time.perf_counter()
            jax.block_until_ready(run(jax.random.key(repeat)))
            if repeat > 0:  # the first compiles
                best[i] = min(best[i], time.perf_counter() - started)
    return best


def rows(num_envs: int, num_steps: int) -> dict[str, Callable[[], list[Run]]]:
    """What is measured, by name: ours alone, or ours and the library's."""
    own: list[tuple[str, Environment]] = [
        ("Catch", Catch()),
        ("DelayedChain", DelayedChain()),
        ("GridWorld dense index", GridWorld("dense", "index")),
        ("GridWorld dense one_hot", GridWorld("dense", "one_hot")),
        ("GridWorld dense image", GridWorld("dense", "image")),
        ("GridWorld random_dense image", GridWorld("random_dense", "image")),
        ("RandomMDP", RandomMDP()),
        ("Snake", Snake()),
    ]
    table: dict[str, Callable[[], list[Run]]] = {
        name: lambda env=env: [ours(env, num_envs, num_steps)] for name, env in own
    }
    for name in ("CartPole-v1", "Acrobot-v1", "Breakout-MinAtar", "Asterix-MinAtar", "DeepSea-bsuite"):
        table[f"Gymnax {name}"] = lambda name=name: [
            ours(Gymnax(name), num_envs, num_steps),
            raw_gymnax(name, num_envs, num_steps),
        ]
    for name in ("inverted_pendulum", "hopper", "ant"):
        table[f"Brax {name} spring"] = lambda name=name: [
            ours(Brax(name), num_envs, num_steps),
            raw_brax(name, "spring", num_envs, num_steps),
        ]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows that begin so (default: all)")
    parser.add_argument("--num_envs", type=int, default=64)
    parser.add_argument("--num_steps", type=int, default=200)
    options = parser.parse_args()

    table = Table(title=f"{options.num_envs} copies, {options.num_steps} steps", title_justify="left")
    for heading in ("environment", "steps/s", "raw library's", "ratio"):
        table.add_column(heading, justify="left" if heading == "environment" else "right")
    for name, make in rows(options.num_envs, options.num_steps).items():
        if options.names and not name.startswith(tuple(options.names)):
            continue
        speeds = [options.num_envs * options.num_steps / second for second in seconds(make())]
        library = [f"{speeds[1]:,.0f}", f"{speeds[0] / speeds[1]:.2f}"] if len(speeds) > 1 else ["", ""]
        table.add_row(name, f"{speeds[0]:,.0f}", *library)
    Console().print(table)


if __name__ == "__main__":
    main()
