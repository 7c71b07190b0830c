"""PPO with published settings learns: CartPole, Acrobot, MinAtar Breakout, brax hopper, beside a single-file PPO.

    python -m scripts.reproduce.ppo [--short]

The single-file PPO (`benchmarks/single_file_ppo.py`) has the same settings and as many steps; its level is the
reference. Arms are kept in `runs/reproduce`; run again to go on. Writes `results/ppo/`: `ppo.json` with every
figure, `curves.csv`, `ppo.png`. `--short` writes a miniature to `runs/reproduce/ppo-short/`.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from benchmarks.single_file_ppo import Settings, make_train
from scripts.reproduce.arms import Arm, bands, console, figure, kept, live_agents, origin

from heurax.envs.foreign import foreign_habits
from heurax.evaluation import bootstrap_mean
from heurax.files import write_text
from heurax.runs import split_cpu

HOPPER = (
    "--inner.num_envs=64",
    "--inner.num_minibatches=8",
    "--inner.num_steps=1562",
    "--inner.network.hidden_sizes=[64,64]",
)
TASKS: dict[str, tuple[str, tuple[str, ...], Settings]] = {
    "CartPole": ("agents/cartpole", (), Settings("CartPole-v1", num_updates=976, num_envs=4)),
    "Acrobot": ("agents/acrobot", (), Settings("Acrobot-v1", num_updates=976, num_envs=4)),
    "MinAtar Breakout": (
        "agents/minatar_breakout",
        ("--inner.num_steps=244",),
        Settings("Breakout-MinAtar", num_updates=244, num_minibatches=8, activation="relu", learning_rate=5e-3),
    ),
    "brax hopper (spring)": (
        "agents/brax_hopper",
        HOPPER,
        Settings(
            "hopper",
            num_updates=1562,
            num_steps=10,
            num_minibatches=8,
            learning_rate=3e-4,
            anneal=False,
            entropy_weight=0.0,
            brax_backend="spring",
        ),
    ),
}
"""By name: a config, what is overridden in it, and the same settings for the single-file PPO."""
PASS_LINES = {"CartPole": 475.0, "Acrobot": -100.0}
NUM_SEEDS = {"CartPole": 10, "Acrobot": 10, "MinAtar Breakout": 40, "brax hopper (spring)": 40}
"""Where the single-file PPO is the reference, ten seeds say little: those of Breakout end near 25 or near 50."""
NUM_POINTS = 100


def single_file(work: Path, name: str, settings: Settings, num_seeds: int) -> Arm:
    """The arm of the single-file PPO, one seed after the other."""

    def make() -> tuple[np.ndarray, np.ndarray, float]:
        with foreign_habits():
            train = jax.jit(lambda key: make_train(settings)(key)[1])
            compiled = train.lower(jax.random.key(0)).compile()
        started = time.monotonic()
        curves = np.stack([np.asarray(compiled(key)) for key in jax.random.split(jax.random.key(0), num_seeds)])
        seconds = time.monotonic() - started
        curves = pd.DataFrame(curves.T).ffill().bfill().to_numpy().T  # updates in which no episode ended
        stretches = np.array_split(np.arange(settings.num_updates), min(NUM_POINTS, settings.num_updates))
        steps = np.array([stretch[-1] + 1 for stretch in stretches]) * settings.num_envs * settings.num_steps
        return steps, np.stack([curves[:, stretch].mean(axis=1) for stretch in stretches], axis=1), seconds

    return kept(work, name, dataclasses.asdict(settings) | {"num_seeds": num_seeds}, make)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--short", action="store_true", help="one environment, two seeds, a few updates: whether it runs at all"
    )
    split_cpu(None)
    short = parser.parse_args().short
    work = Path("runs/reproduce") / ("ppo-short" if short else "ppo")
    out = work if short else Path("results/ppo")

    arms: dict[tuple[str, str], Arm] = {}
    summary: dict[str, Any] = {}
    for task, (config, overrides, settings) in list(TASKS.items())[: 1 if short else None]:
        num_seeds = 2 if short else NUM_SEEDS[task]
        overrides = (*overrides, f"--num_seeds={num_seeds}", f"--num_points={NUM_POINTS}")
        if short:
            overrides, settings = (*overrides, "--inner.num_steps=3"), dataclasses.replace(settings, num_updates=3)
        slug = task.split(" (")[0].replace(" ", "_").lower()
        arms[task, "heurax"] = ours = live_agents(task, config, overrides)
        arms[task, "single file"] = theirs = single_file(work, f"{slug}-single_file", settings, num_seeds)
        summary[task] = {
            "env_steps": int(ours.env_step[-1]),
            "pass_line": PASS_LINES.get(task),
            **{
                name: {"final_return": bootstrap_mean(arm.final)._asdict(), "by_seed": arm.final.round(3).tolist()}
                for name, arm in (("heurax", ours), ("single file", theirs))
            },
            "difference": bootstrap_mean(ours.final - theirs.final)._asdict(),
        }
        mean, low, high = bootstrap_mean(ours.final - theirs.final)
        console.print(
            f"{task}: {ours.final.mean():.1f}, single file {theirs.final.mean():.1f}, "
            f"difference {mean:.1f} [{low:.1f}, {high:.1f}]",
            highlight=False,
        )

    curves = pd.concat([bands(arm, task=task, arm=name) for (task, name), arm in arms.items()], ignore_index=True)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "curves.csv", curves.to_csv(index=False, float_format="%.5g"))
    title = "PPO, 10 seeds of classic control, 40 of the others; bands: 95% bootstrap intervals of the mean"
    figure(curves, title).savefig(out / "ppo.png", dpi=120)
    described = {
        "claim": "PPO with its published settings learns; final return is the mean over the last tenth of training",
        "tasks": summary,
        "origin": origin("bash scripts/reproduce/ppo.sh", arms.values()),
    }
    write_text(out / "ppo.json", json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
