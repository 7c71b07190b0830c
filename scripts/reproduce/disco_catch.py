"""Agents that learn by the released Disco103 solve Catch, beside a tuned actor-critic; two more environments beside.

    python -m scripts.reproduce.disco_catch [--tasks Catch ...] [--weights disco_103.npz] [--short]

Both arms have the same agent, rollouts and optimizer. The actor-critic's learning rate and entropy bonus are the best
of a grid by mean return over training, on seeds of their own; Disco's learning rate is that of the reference run. Seeds
are kept in `runs/reproduce/disco_catch`; run again to go on. Writes `results/disco_catch/`: `disco_catch.json` with
every figure, `curves.csv`, `disco_catch.png`; environments that are not in `--tasks` stay there as they are. `--short`
writes a miniature to `runs/reproduce/disco_catch-short/`, with a small random rule where the weights are not at hand.
"""

import argparse
import functools
import hashlib
import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from scripts.reproduce.arms import Arm, bands, console, figure, kept, origin, slug

from heurax import artifacts
from heurax.artifacts.importers import import_artifact
from heurax.config import find_config, read_config
from heurax.errors import HeuraxError
from heurax.evaluation import LifetimesConfig, bootstrap_mean
from heurax.files import write_text
from heurax.inner import ActorTraining, train
from heurax.rules import Disco

TASKS: dict[str, tuple[str, ...]] = {
    "Catch": (),
    "CartPole": ("--inner.env=Gymnax", "--inner.env.name=CartPole-v1"),
    "Acrobot": ("--inner.env=Gymnax", "--inner.env.name=Acrobot-v1"),
}
"""By name, what is overridden in `configs/agents/catch.yaml`."""
DISCO_LEARNING_RATE = 1e-2
LEARNING_RATES, ENTROPY_WEIGHTS = (1e-3, 3e-3, 1e-2), (0.01, 0.05)
PASS_LINE = 0.9
NUM_SEEDS, NUM_TUNING_SEEDS, NUM_POINTS = 5, 2, 100
WINDOW = 50
"""Updates that a mean reward is taken over, to say when it passed the line."""


def live_seeds(work: Path, name: str, overrides: tuple[str, ...], seeds: range, version: str = "") -> Arm:
    """An arm, seed by seed."""
    settings, text = read_config(LifetimesConfig, find_config("agents/catch"), list(overrides))
    inner = settings.inner
    assert isinstance(inner, ActorTraining)
    theta = inner.rule.init(jax.random.key(0))
    run = jax.jit(lambda key: train(inner, theta, key).metrics["episode_return"])
    compiled = functools.cache(lambda: run.lower(jax.random.key(0)).compile())
    env_step = (np.arange(inner.num_steps) + 1) * inner.num_envs * inner.num_rollout_steps

    def make(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        program = compiled()
        started = time.monotonic()
        returns = np.asarray(program(jax.random.key(seed)))
        return env_step, returns[None], time.monotonic() - started

    arms = [kept(work, f"{slug(name)}-{seed}", [text, seed, version], lambda seed=seed: make(seed)) for seed in seeds]
    returns = np.concatenate([arm.returns for arm in arms])
    return Arm(env_step, returns, sum(arm.seconds for arm in arms), arms[-1].code_version)


def thinned(arm: Arm) -> Arm:
    """At most `NUM_POINTS` points, each the mean of a stretch."""
    stretches = np.array_split(np.arange(arm.env_step.size), min(NUM_POINTS, arm.env_step.size))
    returns = np.stack([arm.returns[:, stretch].mean(axis=1) for stretch in stretches], axis=1)
    return arm._replace(env_step=np.array([arm.env_step[stretch[-1]] for stretch in stretches]), returns=returns)


def update_that_passes(returns: np.ndarray) -> list[int | None]:
    """For each seed, the first update at which the mean of the last `WINDOW` is above the line."""
    sums = np.cumsum(np.pad(returns, ((0, 0), (1, 0))), axis=1)
    window = min(WINDOW, returns.shape[1])
    passed = (sums[:, window:] - sums[:, :-window]) / window > PASS_LINE
    return [int(row.argmax()) + window if row.any() else None for row in passed]


def disco(work: Path, weights: Path, short: bool) -> tuple[str, str]:
    """The artifact of the rule, imported where it is not yet there, and what it was made from."""
    if weights.is_file():
        artifact, version = import_artifact(weights, Disco()), hashlib.sha256(weights.read_bytes()).hexdigest()
    elif short:
        rule = Disco(prediction_size=8, hidden_size=8, lifetime_size=8, num_bins=11, max_abs_value=5.0)
        artifact, version = artifacts.Artifact(rule, rule.init(jax.random.key(0))), "random"
    else:
        raise HeuraxError(f"{weights} is not there; give the released weights as --weights")
    path = work / f"rule-{version[:12]}"
    artifacts.save(path, artifact, overwrite=True)
    return str(path), version


def tuned_actor_critic(work: Path, task: str, overrides: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The settings with the highest mean return over training, and that of all."""
    grid = {}
    for rate, entropy in itertools.product(LEARNING_RATES, ENTROPY_WEIGHTS):
        changes = (f"--inner.optimizer.learning_rate={rate}", f"--inner.rule.entropy_weight={entropy}")
        seeds = range(1000, 1000 + NUM_TUNING_SEEDS)
        arm = live_seeds(work, f"{task} a2c {rate} {entropy}", (*overrides, *changes), seeds)
        grid[changes] = float(arm.returns.mean())
    best = max(grid, key=lambda changes: grid[changes])
    return best, {" ".join(changes): round(value, 4) for changes, value in grid.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="environments (default: all)")
    shared = Path(os.environ.get("HEURAX_SHARED", "../shared"))
    parser.add_argument("--weights", type=Path, default=shared / "weights" / "disco_103.npz", help="the released file")
    parser.add_argument("--short", action="store_true", help="one environment, two seeds, a few updates")
    options = parser.parse_args()
    work = Path("runs/reproduce") / ("disco_catch-short" if options.short else "disco_catch")
    out = work if options.short else Path("results/disco_catch")
    miniature = ("--inner.num_steps=3", "--inner.num_envs=2", "--inner.num_rollout_steps=4") if options.short else ()
    seeds = range(2 if options.short else NUM_SEEDS)
    path, version = disco(work, options.weights, options.short)

    arms: dict[tuple[str, str], Arm] = {}
    summary: dict[str, Any] = {}
    for task in options.tasks[: 1 if options.short else None]:
        overrides = (*TASKS[task], *miniature)
        rule = ("--inner.rule=PretrainedObjective", f"--inner.rule.artifact={path}")
        rule = (*rule, f"--inner.optimizer.learning_rate={DISCO_LEARNING_RATE}")
        arms[task, "Disco103"] = live_seeds(work, f"{task} disco", (*overrides, *rule), seeds, version)
        best, grid = tuned_actor_critic(work, task, overrides)
        arms[task, "tuned actor-critic"] = live_seeds(work, f"{task} a2c best", (*overrides, *best), seeds)
        summary[task] = {"actor_critic_grid": grid, "actor_critic_settings": best}
        for name in ("Disco103", "tuned actor-critic"):
            arm = arms[task, name]
            summary[task][name] = {
                "final_return": bootstrap_mean(arm.final)._asdict(),
                "final_return_by_seed": arm.final.round(3).tolist(),
                "mean_return_over_training": bootstrap_mean(arm.returns.mean(axis=1))._asdict(),
            }
            if task == "Catch":
                summary[task][name]["update_that_passes_0.9"] = update_that_passes(arm.returns)
            console.print(f"{task}, {name}: {arm.final.round(3).tolist()}", highlight=False)
        command = f"bash scripts/reproduce/disco_catch.sh --tasks {task}"
        summary[task]["origin"] = origin(command, [arm for (of, _), arm in arms.items() if of == task])

    curves = pd.concat(
        [bands(thinned(arm), task=task, arm=name) for (task, name), arm in arms.items()], ignore_index=True
    )
    out.mkdir(parents=True, exist_ok=True)
    if (out / "disco_catch.json").is_file():
        recorded = json.loads((out / "disco_catch.json").read_text())
        if recorded["weights_sha256"] == version:
            summary = {task: summary.get(task, recorded["tasks"].get(task)) for task in TASKS}
            summary = {task: found for task, found in summary.items() if found}
            others = pd.read_csv(out / "curves.csv")
            curves = pd.concat([pd.DataFrame(others[~others["task"].isin(options.tasks)]), curves], ignore_index=True)
    write_text(out / "curves.csv", curves.to_csv(index=False, float_format="%.5g"))
    title = f"One loop, two objectives, {len(seeds)} seeds;\nbands: 95% bootstrap intervals of the mean"
    figure(curves, title, columns=max(len(summary), 2)).savefig(out / "disco_catch.png", dpi=120)
    described = {
        "claim": "an agent trained by Disco103 on Catch reaches a mean reward above 0.9 within 1,000 updates, each of "
        "5 seeds; final return is the mean over the last tenth of training",
        "pass_line": PASS_LINE,
        "window": WINDOW,
        "weights_sha256": version,
        "tasks": summary,
    }
    write_text(out / "disco_catch.json", json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
