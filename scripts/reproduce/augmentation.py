"""Two ways to meta-train an optimizer, with and without re-parameterisation, judged on a problem in other units.

    python -m scripts.reproduce.augmentation WORK [--short]

`WORK` holds the sweep `sweeps/augmentation`: a rule that is meta-trained on perceptrons that read letters, ten times
with and ten times without `Reparameterized`, which is all that differs. Here each trains perceptrons on handwritten
digits, which it has not seen, whose parameters are 30 times smaller or larger than they would be (`Reparameterized`
with a fixed scale of 30 or 1/30), and as they are. Final losses are means over the last tenth of training and over 64
lifetimes, the same for all; medians are over the seeds of meta-training, intervals from the bootstrap over these.
Writes `results/augmentation/`: `augmentation.json` with every figure, `finals.csv`, `augmentation.png`. `--short`
writes a miniature beside the sweep.

The claim: Metz et al. 2022 (VeLO), arXiv:2211.09760, augment their tasks so.
"""

import argparse
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from rich.console import Console
from scipy import stats
from scripts.reproduce.arms import COLORS

import heurax
from heurax.config import read_config
from heurax.files import write_text
from heurax.inner import SupervisedTraining, train
from heurax.runs import TrainConfig, split_cpu
from heurax.runs.provenance import environment
from heurax.tasks import Reparameterized

ARMS = ("with", "without")
SCALES = {"1/30": 1 / 30, "1": 1.0, "30": 30.0}
HELD_OUT = 1_000_003
"""The seed of everything random in the evaluation; meta-training has small ones."""

console = Console(stderr=True)


def judges(inner: SupervisedTraining, num_lifetimes: int) -> dict[str, Callable[[Any], jax.Array]]:
    """By scale, from `theta` to the mean final loss on digits.

    Args:
        inner: the inner loop of meta-training, whose task is re-parameterised letters.
        num_lifetimes: how many lifetimes are averaged.
    """
    assert isinstance(inner.task, Reparameterized)
    letters: Any = inner.task.family
    digits = dataclasses.replace(letters, dataset="digits")
    keys = jax.random.split(jax.random.key(HELD_OUT), num_lifetimes)

    def judge(scale: float) -> Callable[[Any], jax.Array]:
        ours = dataclasses.replace(inner, task=Reparameterized(digits, "global", scale, scale), loss_cap=1e3)
        last = max(inner.num_steps // 10, 1)
        return jax.jit(lambda theta: jax.vmap(lambda key: train(ours, theta, key).loss[-last:])(keys).mean())

    return {name: judge(scale) for name, scale in SCALES.items()}


def compare(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Medians, and their difference with a percentile bootstrap interval over seeds, which are paired."""
    interval = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis: np.median(a, axis=axis) - np.median(b, axis=axis),
        paired=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return {
        "median_with": float(np.median(ours)),
        "median_without": float(np.median(theirs)),
        "with_minus_without": {
            "median": float(np.median(ours) - np.median(theirs)),
            "low": float(interval.low),
            "high": float(interval.high),
        },
        "seeds_lower_with": int(np.sum(ours < theirs)),
    }


def of(finals: pd.DataFrame, arm: str, scale: str) -> np.ndarray:
    """The final losses of one arm at one scale, by seed, `[seeds]`."""
    rows = finals[(finals["arm"] == arm) & (finals["scale"] == scale)]
    return np.asarray(rows.sort_values("seed")["final_loss"])


def figure(finals: pd.DataFrame) -> Any:
    """Every seed's final loss, by scale and arm, and the medians.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    fig = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = fig.subplots()
    for arm, color, shift in zip(ARMS, (COLORS[1], COLORS[0]), (-0.15, 0.15), strict=True):
        for place, scale in enumerate(SCALES):
            losses = of(finals, arm, scale)
            x = place + shift + np.linspace(-0.06, 0.06, len(losses))
            label = f"{arm} augmentation" if place == 0 else None
            axes.scatter(x, np.sort(losses), s=14, color=color, alpha=0.7, lw=0, label=label)
            axes.hlines(np.median(losses), place + shift - 0.11, place + shift + 0.11, color=color, lw=2)
    axes.axhline(np.log(10), color="grey", lw=0.8, ls="--")
    axes.text(len(SCALES) - 0.55, np.log(10), "a guess", fontsize=7, color="grey", va="bottom", ha="right")
    axes.set_yscale("log")
    axes.set_xticks(range(len(SCALES)), [f"times {scale}" for scale in SCALES])
    axes.set_xlabel("scale of the parameters: loss(scale * params)", fontsize=8)
    axes.set_ylabel("final loss on digits", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25, lw=0.5)
    fig.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="directory of the sweep")
    parser.add_argument("--short", action="store_true", help="a miniature: whether it runs at all")
    options = parser.parse_args()
    split_cpu(None)
    trials = options.work / "trials"
    out = options.work / "results" if options.short else Path("results/augmentation")
    num_lifetimes = 2 if options.short else 64

    config, text = read_config(TrainConfig, trials / "with-seed0" / "config.yaml")
    judged = judges(config.inner, num_lifetimes)
    rows, training = [], {}
    for arm in ARMS:
        paths = sorted(trials.glob(f"{arm}-seed*"), key=lambda path: int(path.name.rpartition("seed")[2]))
        training[arm] = json.loads((paths[0] / "summary.json").read_text())
        for path in paths:
            seed = int(path.name.rpartition("seed")[2])
            theta = heurax.load(str(path / "artifact")).theta
            losses = {scale: float(judge(theta)) for scale, judge in judged.items()}
            rows += [{"arm": arm, "seed": seed, "scale": scale, "final_loss": x} for scale, x in losses.items()]
            shown = ", ".join(f"{loss:.3g} at {scale}" for scale, loss in losses.items())
            console.print(f"{arm} augmentation, seed {seed}: {shown}", highlight=False)
    finals = pd.DataFrame(rows)
    by_scale = {}
    for scale in SCALES:
        by_scale[scale] = compare(of(finals, "with", scale), of(finals, "without", scale))
        d = by_scale[scale]["with_minus_without"]
        console.print(
            f"times {scale}: median final loss {by_scale[scale]['median_with']:.4g} with, "
            f"{by_scale[scale]['median_without']:.4g} without; with - without {d['median']:+.4g} "
            f"[{d['low']:+.4g}, {d['high']:+.4g}]",
            highlight=False,
        )
    described = {
        "claim": "on a held-out task re-scaled 30 times and 1/30, the median final loss is lower with augmentation",
        "score": f"mean loss on digits, last tenth of {config.inner.num_steps} steps, {num_lifetimes} lifetimes",
        "seeds": int(finals["seed"].nunique()),
        "scales": by_scale,
        "config": text,
        "training": training,
        "origin": {"command": "bash scripts/reproduce/augmentation.sh", "environment": environment()},
    }
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "augmentation.json", json.dumps(described, indent=2) + "\n")
    write_text(out / "finals.csv", finals.to_csv(index=False, float_format="%.5g"))
    figure(finals).savefig(out / "augmentation.png", dpi=110)


if __name__ == "__main__":
    main()
