"""A drift discovered on small grid worlds, against no drift, PPO's clip and DPO, where it has and has not been.

    python -m scripts.reproduce.lpo_small RUN [--short]

`RUN` is a run of `drifts/lpo_small`. Levels: final returns on held-out levels of the distribution that the run learned
on, 20 seeds of 64 levels each, paired by seed: the same levels, agents and random numbers for all drifts. Transfer:
larger levels, longer training, and other environments with networks for agents, 10 seeds each. Writes
`results/lpo_small/`: `lpo_small.json` with every figure, `fitness.csv`, `finals.csv`, `curves.csv`, `lpo_small.png`;
and `docs/figures/lpo_small_drift.png`. `--short` writes a miniature beside the run.
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
    live_agents,
    on_levels,
    origin,
    theta_of,
    without_last,
)

import heurax
from heurax.analysis import drift_figure, fit_drift, published_drifts
from heurax.artifacts import PretrainedDrift
from heurax.config import read_config
from heurax.envs import GridWorld
from heurax.evaluation import bootstrap_mean
from heurax.files import write_text
from heurax.inner import PPO, TabularNetwork
from heurax.rules import DPO, Drift, NoDrift, PPOClip
from heurax.runs import TrainConfig, split_cpu

LEARNED = "LPO, learned"
NUM_SEEDS, LEVELS_PER_SEED = 20, 64
TRANSFER: dict[str, tuple[str, tuple[str, ...]]] = {
    "CartPole": ("agents/cartpole", ("--inner.num_steps=488",)),
    "Acrobot": ("agents/acrobot", ("--inner.num_steps=488",)),
    "Catch": (
        "agents/cartpole",
        ("--inner.env=Catch", "--inner.num_steps=200", "--inner.num_envs=16", "--inner.num_rollout_steps=32"),
    ),
    "MinAtar Breakout": ("agents/minatar_breakout", ("--inner.num_steps=122",)),
}


def drifts(run: str) -> dict[str, Drift]:
    """All that are compared, by name; the first is the learned one."""
    return {LEARNED: PretrainedDrift(run), "no drift": NoDrift(), "PPO clip": PPOClip(), "DPO": DPO()}


def grid_worlds(inner: PPO) -> dict[str, PPO]:
    """The problem that the run learned on, and larger ones."""

    def on(levels: str, num_steps: int, max_eval_steps: int) -> PPO:
        env = GridWorld(levels, observation="index")
        network = TabularNetwork(env.num_states)
        return dataclasses.replace(inner, env=env, network=network, num_steps=num_steps, max_eval_steps=max_eval_steps)

    return {
        "held-out levels": inner,
        "four times as long": dataclasses.replace(inner, num_steps=4 * inner.num_steps),
        "medium levels": on("medium", 4 * inner.num_steps, 250),
    }


def compare(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Means per drift, and differences between the learned one and each other, paired by seed."""
    return {
        "final_return": {name: bootstrap_mean(score)._asdict() for name, score in scores.items()},
        "learned_minus": {
            name: {
                **bootstrap_mean(scores[LEARNED] - score)._asdict(),
                "seeds_better": int(np.sum(scores[LEARNED] > score)),
            }
            for name, score in scores.items()
            if name != LEARNED
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="directory of a finished run of drifts/lpo_small")
    parser.add_argument("--short", action="store_true", help="two seeds, little else: whether it runs at all")
    options = parser.parse_args()
    split_cpu(None)
    run, short = Path(options.run), options.short
    work = run.parent
    out = work if short else Path("results/lpo_small")
    num_seeds, per_seed = (2, 2) if short else (NUM_SEEDS, LEVELS_PER_SEED)

    config, _ = read_config(TrainConfig, run / "config.yaml")
    assert isinstance(config.inner, PPO)
    inner = dataclasses.replace(config.inner, num_eval_episodes=64)
    artifact = heurax.load(run)
    theta = theta_of(run / "artifact")
    summary: dict[str, Any] = {}
    arms: dict[tuple[str, str], Arm] = {}
    finals: list[dict[str, Any]] = []

    def conclude(task: str, scores: dict[str, np.ndarray]) -> None:
        """Keep and report the final returns on a task, `[seeds]` of each drift."""
        for name, score in scores.items():
            finals.extend({"task": task, "arm": name, "seed": i, "final_return": x} for i, x in enumerate(score))
        summary[task] = {"seeds": len(scores[LEARNED]), **compare(scores)}
        report(task, summary[task])

    for task, problem in list(grid_worlds(inner).items())[: 1 if short else None]:
        scores = {}
        for name, rule in drifts(str(run)).items():
            slug = f"{task}-{name}".replace(" ", "_").replace(",", "")
            version = theta if name == LEARNED else ""
            arm = on_levels(work, slug, dataclasses.replace(problem, rule=rule), num_seeds, per_seed, HELD_OUT, version)
            arms[task, name] = without_last(arm)
            scores[name] = arm.returns[:, -1]
        conclude(task, scores)
    for task, (agent, overrides) in list(TRANSFER.items())[: 1 if short else None]:
        overrides = (*overrides, f"--num_seeds={2 if short else 10}", "--num_points=100")
        if short:
            overrides = (*overrides, "--inner.num_steps=3")
        scores = {}
        for name, rule in drifts(str(run)).items():
            chosen = [f"--inner.rule={type(rule).__name__}"]
            if isinstance(rule, PretrainedDrift):
                chosen.append(f"--inner.rule.artifact={rule.artifact}")
            version = theta if name == LEARNED else ""
            arms[task, name] = arm = live_agents(task, agent, (*overrides, *chosen), version)
            scores[name] = arm.final
        conclude(task, scores)

    fit = fit_drift(artifact.drift)
    out.mkdir(parents=True, exist_ok=True)
    metrics = pd.read_json(run / "metrics.jsonl", lines=True)
    write_text(out / "fitness.csv", metrics[["step", "meta_loss", "best_loss", "theta_norm"]].to_csv(index=False))
    write_text(out / "finals.csv", pd.DataFrame(finals).to_csv(index=False, float_format="%.5g"))
    curves = pd.concat([bands(arm, task=task, arm=name) for (task, name), arm in arms.items()], ignore_index=True)
    write_text(out / "curves.csv", curves.to_csv(index=False, float_format="%.5g"))
    figure(curves, "Returns in training, by drift; bands: 95% bootstrap intervals over seeds").savefig(
        out / "lpo_small.png", dpi=110
    )
    surfaces = drift_figure({"learned": artifact.drift} | published_drifts())
    surfaces.savefig((out if short else Path("docs/figures")) / "lpo_small_drift.png", dpi=110)
    described = {
        "claim": "a drift learned on small grid worlds beats no drift and PPO's clip on levels it has not seen",
        "score": "mean return of fresh episodes at the end of training (grid worlds), of the last tenth of training",
        "tasks": summary,
        "symbolic_fit": fit.summary(),
        "training": json.loads((run / "summary.json").read_text()),
        "origin": origin("bash scripts/reproduce/lpo_small.sh", arms.values()),
    }
    write_text(out / "lpo_small.json", json.dumps(described, indent=2) + "\n")


def report(task: str, record: dict[str, Any]) -> None:
    """One line per difference."""
    for name, d in record["learned_minus"].items():
        console.print(
            f"{task}: learned - {name} {d['mean']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}], "
            f"better on {d['seeds_better']} of {record['seeds']} seeds",
            highlight=False,
        )


if __name__ == "__main__":
    main()
