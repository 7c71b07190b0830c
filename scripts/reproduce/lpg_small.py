"""An objective discovered on small grid worlds by meta-gradients, against tuned A2C on levels that neither has seen.

    python -m scripts.reproduce.lpg_small RUN [--short]

`RUN` is a run of `objectives/lpg_small`. All agents are tables with the same rollouts. A2C's optimizer, learning rate,
entropy bonus and standardisation of advantages are those of the highest final return on levels of their own. Judged are
returns of fresh episodes at the end of training, on 20 seeds of 32 levels each that are paired: the same levels and
random numbers for all. Arms are kept beside the run; run again to go on. Writes `results/lpg_small/`: `lpg_small.json`
with every figure, `meta_training.csv`, `finals.csv`, `curves.csv`, `lpg_small.png`. `--short` writes a miniature beside
the run.
"""

import argparse
import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scripts.reproduce.arms import (
    COLORS,
    HELD_OUT,
    Arm,
    bands,
    console,
    on_levels,
    origin,
    ratio_of_means,
    theta_of,
    without_last,
)

from heurax.artifacts import PretrainedObjective
from heurax.config import read_config
from heurax.evaluation import bootstrap_mean
from heurax.files import write_text
from heurax.inner import ActorTraining
from heurax.rules import ActorCritic, ObjectiveRule, OptaxOptimizer
from heurax.runs import TrainConfig, split_cpu

LEARNED, BASELINE, FRESH = "LPG, meta-trained", "A2C, tuned", "LPG, not trained"
PASS_LINE = 0.9
NUM_SEEDS, LEVELS_PER_SEED = 20, 32
TUNING = HELD_OUT + 1
"""The seed of the levels that A2C is tuned on."""
OPTIMIZERS = (("sgd", 3.0), ("sgd", 10.0), ("sgd", 30.0), ("adam", 0.03), ("adam", 0.1), ("adam", 0.3))
ENTROPY_WEIGHTS = (0.01, 0.05)


def judged_on_levels(config: TrainConfig) -> ActorTraining:
    """The lifetimes of a run, judged by the returns of fresh episodes."""
    inner = config.inner
    assert isinstance(inner, ActorTraining)
    return dataclasses.replace(inner, critic=None, num_eval_episodes=64)


def tuned_actor_critic(work: Path, inner: ActorTraining, num_lifetimes: int, short: bool) -> tuple[ActorTraining, dict]:
    """A2C with the settings of the highest final return, and that of all settings."""
    grid: dict[str, float] = {}
    found: dict[str, ActorTraining] = {}

    def add(rule: ActorCritic, optimizer: OptaxOptimizer) -> None:
        name = f"{optimizer.name} {optimizer.learning_rate:g}, entropy {rule.entropy_weight:g}"
        name += ", standardised" if rule.normalise_advantages else ""
        found[name] = dataclasses.replace(inner, rule=rule, optimizer=optimizer)
        slug = f"a2c-{name}".replace(" ", "_").replace(",", "")
        grid[name] = float(on_levels(work, slug, found[name], num_lifetimes, 1, TUNING).returns[:, -1].mean())

    def best() -> ActorTraining:
        return found[max(grid, key=lambda name: grid[name])]

    for (name, rate), entropy in itertools.product(OPTIMIZERS, ENTROPY_WEIGHTS):
        add(ActorCritic(entropy_weight=entropy), OptaxOptimizer(name, rate))
        if short:
            break
    winner = best()
    assert isinstance(winner.rule, ActorCritic)
    assert isinstance(winner.optimizer, OptaxOptimizer)
    add(dataclasses.replace(winner.rule, normalise_advantages=True), winner.optimizer)
    settings = max(grid, key=lambda name: grid[name])
    return best(), {"chosen": settings, "final_return": {name: round(x, 4) for name, x in grid.items()}}


def meta_training_curve(run: Path) -> pd.DataFrame:
    """Of the run: what agents returned in training, by meta-step."""
    metrics = pd.read_json(run / "metrics.jsonl", lines=True)
    columns = ["step", "episode_return", "entropy", "policy_target_size", "prediction_entropy", "gradient_norm"]
    return metrics.filter(items=columns)


def both_curves(training: pd.DataFrame, curves: pd.DataFrame) -> Any:
    """Meta-training on the left, the agents of each arm on the right."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = fig.subplots(1, 2)
    left.plot(training["step"], training["episode_return"], color=COLORS[0], lw=0.8, alpha=0.5)
    smooth = training["episode_return"].rolling(5, min_periods=1).mean()
    left.plot(training["step"], smooth, color=COLORS[0], lw=1.8)
    left.set_xlabel("meta-steps", fontsize=8)
    left.set_title("meta-training: return of the agents, over their lifetimes", fontsize=9)
    for arm, color in zip(dict.fromkeys(curves["arm"]), COLORS, strict=False):
        curve = curves[curves["arm"] == arm]
        right.plot(curve["env_step"], curve["mean"], color=color, lw=1.5, label=arm)
        right.fill_between(curve["env_step"], curve["low"], curve["high"], color=color, alpha=0.2, lw=0)
    right.set_xlabel("environment steps", fontsize=8)
    right.set_title("held-out levels; bands: 95% bootstrap intervals over seeds", fontsize=9)
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.5)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="directory of a run of objectives/lpg_small")
    parser.add_argument("--short", action="store_true", help="two seeds, little else: whether it runs at all")
    options = parser.parse_args()
    split_cpu(None)
    run, short = options.run, options.short
    work = run.parent
    out = work if short else Path("results/lpg_small")
    num_seeds, per_seed = (2, 2) if short else (NUM_SEEDS, LEVELS_PER_SEED)

    config, _ = read_config(TrainConfig, run / "config.yaml")
    inner = judged_on_levels(config)
    theta = theta_of(run / "artifact")
    assert isinstance(inner.rule, ObjectiveRule)
    actor_critic, grid = tuned_actor_critic(work, inner, 4 if short else 128, short)
    agents = {
        LEARNED: dataclasses.replace(inner, rule=PretrainedObjective(str(run))),
        BASELINE: actor_critic,
        FRESH: inner,
    }
    arms: dict[str, Arm] = {}
    for name, agent in agents.items():
        slug = name.replace(",", "").replace(" ", "_").lower()
        arms[name] = on_levels(work, slug, agent, num_seeds, per_seed, HELD_OUT, theta if name == LEARNED else "")
    scores = {name: arm.returns[:, -1] for name, arm in arms.items()}
    ratio = ratio_of_means(scores[LEARNED], scores[BASELINE])
    difference = scores[LEARNED] - scores[BASELINE]
    console.print(f"{LEARNED} / {BASELINE}: {ratio.mean:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]", highlight=False)

    out.mkdir(parents=True, exist_ok=True)
    training = meta_training_curve(run)
    write_text(out / "meta_training.csv", training.to_csv(index=False, float_format="%.5g"))
    rows = [{"arm": name, "seed": i, "final_return": x} for name, score in scores.items() for i, x in enumerate(score)]
    write_text(out / "finals.csv", pd.DataFrame(rows).to_csv(index=False, float_format="%.5g"))
    curves = pd.concat([bands(without_last(arm), arm=name) for name, arm in arms.items()], ignore_index=True)
    write_text(out / "curves.csv", curves.to_csv(index=False, float_format="%.5g"))
    both_curves(training, curves).savefig(out / "lpg_small.png", dpi=120)
    described = {
        "claim": "agents that learn by LPG, meta-trained in under 60 minutes, reach at least 0.9 of the final return "
        "of agents that learn by tuned A2C, on levels that neither has seen",
        "pass_line": PASS_LINE,
        "score": "mean return of fresh episodes at the end of training",
        "seeds": num_seeds,
        "levels_per_seed": per_seed,
        "ratio": ratio._asdict(),
        "difference": bootstrap_mean(difference)._asdict() | {"seeds_better": int(np.sum(difference > 0))},
        "passed": bool(ratio.low >= PASS_LINE),
        "final_return": {name: bootstrap_mean(score)._asdict() for name, score in scores.items()},
        "actor_critic": grid,
        "training": json.loads((run / "summary.json").read_text()),
        "origin": origin("bash scripts/reproduce/lpg_small.sh", arms.values()),
    }
    write_text(out / "lpg_small.json", json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
