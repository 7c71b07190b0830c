"""LPG with levels by regret, against LPG with levels drawn evenly: GROOVE's curriculum, on grid worlds.

    python -m scripts.reproduce.groove_small RUNS [--short]

`RUNS` holds pairs of runs with equal seeds and as many meta-steps: `even-0`, `regret-0`, `even-1`, ... of
`objectives/lpg_small` and `objectives/groove_small`. Agents learn by what each has found on levels that neither has
seen: of the distribution of meta-training, and larger ones. Judged are returns of fresh episodes at the end of
training, on 20 seeds of 16 levels each that are paired: the same levels and random numbers for all. Arms are kept
beside the runs; run again to go on. Writes `results/groove_small/`: `groove_small.json` with every figure,
`finals.csv`, `meta_training.csv`, `groove_small.png`. `--short` writes a miniature beside the runs.
"""

import argparse
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scripts.reproduce.arms import COLORS, HELD_OUT, Arm, console, on_levels, origin, theta_of
from scripts.reproduce.lpg_small import judged_on_levels

from heurax.artifacts import PretrainedObjective
from heurax.config import read_config
from heurax.envs import GridWorld
from heurax.errors import HeuraxError
from heurax.evaluation import bootstrap_mean
from heurax.files import write_text
from heurax.inner import ActorTraining, TableTorso
from heurax.runs import TrainConfig, split_cpu

EVEN, REGRET = "even levels", "levels by regret"
RUNS = {EVEN: "even", REGRET: "regret"}
NUM_SEEDS, LEVELS_PER_SEED = 20, 16
LEVELS = {"small levels, as in meta-training": "small", "medium levels": "medium"}
"""By what figures call them, distributions over levels."""


def on_grids(inner: ActorTraining, levels: str) -> ActorTraining:
    """The same lifetimes on other levels, with a table that is large enough."""
    env = GridWorld(levels, observation="index")
    return dataclasses.replace(inner, env=env, torso=TableTorso(env.num_states), max_eval_steps=250)


def meta_training(runs: Path, pairs: list[int]) -> pd.DataFrame:
    """What agents returned in training and the regrets of their levels, by run and meta-step."""
    frames = []
    for name, folder in RUNS.items():
        for seed in pairs:
            metrics = pd.read_json(runs / f"{folder}-{seed}" / "metrics.jsonl", lines=True)
            columns = ["step", "episode_return", "regret", "replayed", "buffer_filled", "buffer_score"]
            frames.append(metrics.filter(items=columns).assign(levels=name, seed=seed))
    return pd.concat(frames, ignore_index=True)


def gains_figure(training: pd.DataFrame, gains: pd.DataFrame) -> Any:
    """Returns in meta-training on the left; on the right, what regret gains on held-out levels, run by run."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = fig.subplots(1, 2)
    for (name, of_levels), color in zip(training.groupby("levels"), COLORS, strict=False):
        for _, of_run in of_levels.groupby("seed"):
            left.plot(of_run["step"], of_run["episode_return"].rolling(5, min_periods=1).mean(), color=color, lw=1)
        left.plot([], [], color=color, label=name)
    left.set_xlabel("meta-steps", fontsize=8)
    left.set_title("return of the agents in meta-training, on its levels", fontsize=9)
    left.legend(frameon=False, fontsize=8)
    names = list(dict.fromkeys(gains["pair"]))
    for (levels, of_levels), color, shift in zip(
        gains.groupby("levels", sort=False), COLORS[2:], (-0.1, 0.1), strict=False
    ):
        at = np.array([names.index(pair) for pair in of_levels["pair"]]) + shift
        error = [of_levels["mean"] - of_levels["low"], of_levels["high"] - of_levels["mean"]]
        right.errorbar(at, of_levels["mean"], error, fmt="o", ms=4, color=color, lw=1.2, capsize=3, label=levels)
    right.axhline(0, color="0.6", lw=0.8)
    right.set_xticks(range(len(names)), names, fontsize=8)
    right.set_title("final return on held-out levels: regret minus even", fontsize=9)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.5)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="directory of the pairs of runs")
    parser.add_argument("--short", action="store_true", help="two seeds of two levels: whether it runs at all")
    options = parser.parse_args()
    split_cpu(None)
    runs, short = options.runs, options.short
    out = runs if short else Path("results/groove_small")
    num_seeds, per_seed = (2, 2) if short else (NUM_SEEDS, LEVELS_PER_SEED)
    finished = {
        name: {int(run.name.rsplit("-", 1)[1]) for run in runs.glob(f"{folder}-*") if run.is_dir()}
        for name, folder in RUNS.items()
    }
    pairs = sorted(finished[EVEN] & finished[REGRET])
    if not pairs:
        raise HeuraxError(f"{runs} must hold runs even-N and regret-N of the same seed N, and has no such pair")

    arms: dict[tuple[str, str, int], Arm] = {}
    for (name, folder), seed in itertools.product(RUNS.items(), pairs):
        run = runs / f"{folder}-{seed}"
        config, _ = read_config(TrainConfig, run / "config.yaml")
        theta = theta_of(run / "artifact")
        learner = dataclasses.replace(judged_on_levels(config), rule=PretrainedObjective(str(run)))
        for levels, distribution in LEVELS.items():
            inner = on_grids(learner, distribution)
            slug = f"{folder}-{seed}-{distribution}"
            arms[levels, name, seed] = on_levels(runs, slug, inner, num_seeds, per_seed, HELD_OUT, theta)

    def final(levels: str, name: str, seed: int) -> np.ndarray:
        return arms[levels, name, seed].returns[:, -1]

    rows, summary = [], {}
    for levels in LEVELS:
        differences = np.stack([final(levels, REGRET, seed) - final(levels, EVEN, seed) for seed in pairs])
        for seed, difference in zip(pairs, differences, strict=True):
            rows.append({"levels": levels, "pair": f"seed {seed}", **bootstrap_mean(difference)._asdict()})
        overall = bootstrap_mean(differences.mean(axis=0))
        rows.append({"levels": levels, "pair": "all", **overall._asdict()})
        summary[levels] = {
            "regret_minus_even": overall._asdict(),
            "by_pair": {str(seed): bootstrap_mean(d)._asdict() for seed, d in zip(pairs, differences, strict=True)},
            "final_return": {
                name: bootstrap_mean(np.mean([final(levels, name, seed) for seed in pairs], axis=0))._asdict()
                for name in RUNS
            },
        }
        text = f"{levels}: {overall.mean:+.3f} [{overall.low:+.3f}, {overall.high:+.3f}]"
        console.print(text, highlight=False)

    out.mkdir(parents=True, exist_ok=True)
    training = meta_training(runs, pairs)
    write_text(out / "meta_training.csv", training.to_csv(index=False, float_format="%.5g"))
    finals = [
        {"levels": levels, "curriculum": name, "run": run, "seed": i, "final_return": x}
        for levels, name, run in arms
        for i, x in enumerate(final(levels, name, run))
    ]
    write_text(out / "finals.csv", pd.DataFrame(finals).to_csv(index=False, float_format="%.5g"))
    gains_figure(training, pd.DataFrame(rows)).savefig(out / "groove_small.png", dpi=120)
    described = {
        "claim": "the regret curriculum against even levels, the same meta-steps, agents and updates",
        "score": "mean return of fresh episodes at the end of training; intervals over seeds of levels, not over runs",
        "pairs": pairs,
        "seeds": num_seeds,
        "levels_per_seed": per_seed,
        "results": summary,
        "training": {
            f"{folder}-{seed}": json.loads((runs / f"{folder}-{seed}" / "summary.json").read_text())
            for folder in RUNS.values()
            for seed in pairs
        },
        "origin": origin("bash scripts/reproduce/groove_small.sh", arms.values()),
    }
    write_text(out / "groove_small.json", json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
