"""Learned optimizers for reinforcement learning, meta-trained over agents' lifetimes, against a tuned Adam.

    python -m scripts.reproduce.rl_optimizers RUNS [--short]

`RUNS` holds `open`, a run of `learned_optimizers/open_small` (evolution over PPO), and `optim4rl`, a run of
`learned_optimizers/optim4rl_small` (meta-gradients through A2C). Agents like those of meta-training learn by the
optimizer as the run left it, as the run began, and by Adam with the best of seven learning rates, chosen for each task
on seeds of its own; on Catch, where both were meta-trained, and on grid worlds, which neither has seen. Judged are
returns of fresh episodes at the end, on 10 paired seeds of 8 lifetimes each. Writes `results/rl_optimizers/`:
`rl_optimizers.json` with every figure, `finals.csv`, `curves.csv`, `rl_optimizers.png`. `--short` writes a miniature
beside the runs.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scripts.reproduce.arms import (
    HELD_OUT,
    Arm,
    bands,
    console,
    figure,
    initial_artifact,
    on_levels,
    origin,
    slug,
    theta_of,
    without_last,
)

from heurax.artifacts import PretrainedOptimizer
from heurax.config import read_config
from heurax.envs import Catch, Environment, GridWorld
from heurax.evaluation import bootstrap_mean
from heurax.files import write_text
from heurax.inner import PPO, ActorTraining
from heurax.rules import OptaxOptimizer
from heurax.runs import TrainConfig, split_cpu

RUNS = {"Open": "open", "Optim4RL": "optim4rl"}
TASKS: dict[str, Environment] = {"Catch": Catch(), "grid worlds": GridWorld("small", "one_hot")}
LEARNED, FRESH, ADAM = "meta-trained", "not trained", "Adam, tuned"
RATES = tuple(float(f"{rate:.2g}") for rate in np.logspace(-4, -1, 7))
NUM_SEEDS, LIFETIMES_PER_SEED = 10, 8


def adam(inner: PPO | ActorTraining, rate: float) -> OptaxOptimizer:
    """Adam as PPO has it, the rate annealed to 0, or as A2C has it, the rate constant."""
    return OptaxOptimizer("adam", rate, {"eps": 1e-5}, schedule="linear" if isinstance(inner, PPO) else "constant")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="directory of the two runs")
    parser.add_argument("--short", action="store_true", help="two seeds of one lifetime: whether it runs at all")
    options = parser.parse_args()
    split_cpu(None)
    runs, short = options.runs, options.short
    out = runs if short else Path("results/rl_optimizers")
    num_seeds, per_seed = (2, 1) if short else (NUM_SEEDS, LIFETIMES_PER_SEED)
    rates = RATES[:2] if short else RATES

    arms: dict[tuple[str, str, str], Arm] = {}
    tuning: dict[str, dict[str, dict[float, float]]] = {}
    for rule, folder in RUNS.items():
        run = runs / folder
        config, _ = read_config(TrainConfig, run / "config.yaml")
        assert isinstance(config.inner, PPO | ActorTraining)
        settings: dict[str, Any] = {"num_eval_episodes": 64, "max_eval_steps": 100}
        if isinstance(config.inner, ActorTraining):
            settings["critic"] = None
        initial = initial_artifact(runs / f"{folder}-initial", config)
        for task, env in TASKS.items():
            inner = dataclasses.replace(config.inner, env=env, **settings)

            def arm(name: str, optimizer: Any, seed: int = HELD_OUT, version: str = "", inner: Any = inner) -> Arm:
                inner = dataclasses.replace(inner, rule=optimizer)
                return on_levels(runs, slug(name), inner, num_seeds, per_seed, seed, version)

            by_rate = {
                rate: float(arm(f"{rule} {task} adam {rate}", adam(inner, rate), HELD_OUT + 1).returns[:, -1].mean())
                for rate in rates
            }
            tuning.setdefault(rule, {})[task] = by_rate
            best = max(by_rate, key=by_rate.__getitem__)
            arms[rule, task, ADAM] = arm(f"{rule} {task} adam", adam(inner, best))
            for name, where in ((LEARNED, run / "artifact"), (FRESH, initial)):
                optimizer = PretrainedOptimizer(str(where))
                arms[rule, task, name] = arm(f"{rule} {task} {name}", optimizer, version=theta_of(where))

    def final(rule: str, task: str, name: str) -> np.ndarray:
        return arms[rule, task, name].returns[:, -1]

    summary: dict[str, Any] = {}
    for rule in RUNS:
        for task in TASKS:
            learned = final(rule, task, LEARNED)
            gains = {name: bootstrap_mean(learned - final(rule, task, name)) for name in (FRESH, ADAM)}
            summary.setdefault(rule, {})[task] = {
                "final_return": {
                    name: bootstrap_mean(final(rule, task, name))._asdict() for name in (LEARNED, FRESH, ADAM)
                },
                **{f"{LEARNED} minus {name}": gain._asdict() for name, gain in gains.items()},
                "final_return_by_learning_rate_of_adam": tuning[rule][task],
            }
            for name, gain in gains.items():
                text = f"{rule}, {task}: {LEARNED} - {name} {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
                console.print(text, highlight=False)

    out.mkdir(parents=True, exist_ok=True)
    finals = [
        {"rule": rule, "task": task, "arm": name, "seed": i, "final_return": x}
        for rule, task, name in arms
        for i, x in enumerate(final(rule, task, name))
    ]
    write_text(out / "finals.csv", pd.DataFrame(finals).to_csv(index=False, float_format="%.5g"))
    order = sorted(arms, key=lambda key: (LEARNED, ADAM, FRESH).index(key[2]))
    curves = pd.concat(
        [bands(without_last(arms[key]), task=f"{key[0]}: {key[1]}", arm=key[2]) for key in order], ignore_index=True
    )
    write_text(out / "curves.csv", curves.to_csv(index=False, float_format="%.5g"))
    title = f"Return over training, {num_seeds} paired seeds; bands: 95% bootstrap intervals"
    figure(curves, title).savefig(out / "rl_optimizers.png", dpi=110)
    described = {
        "score": "mean return of fresh episodes at the end of training",
        "seeds": num_seeds,
        "lifetimes_per_seed": per_seed,
        "results": summary,
        "training": {rule: json.loads((runs / folder / "summary.json").read_text()) for rule, folder in RUNS.items()},
        "origin": origin("bash scripts/reproduce/rl_optimizers.sh", arms.values()),
    }
    write_text(out / "rl_optimizers.json", json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
