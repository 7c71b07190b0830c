"""Two ways to meta-train an optimizer, with and without re-parameterisation, judged on a problem in other units.

    python -m scripts.reproduce.augmentation [--short]

`NNAdam` is meta-trained on perceptrons that read letters, ten times with and ten times without `Reparameterized`, which
is all that differs. Then it trains perceptrons on handwritten digits, which it has not seen, whose parameters are 30
times smaller or larger than they would be (`Reparameterized` with a fixed scale of 30 or 1/30), and as they are. Final
losses are means over the last tenth of training and over 16 lifetimes, the same for all; medians are over the ten
seeds of meta-training, intervals from the bootstrap over these. Writes `results/augmentation/`: `augmentation.json`
with every figure, `finals.csv`, `augmentation.png`. `--short` writes a miniature beside what it keeps.

The claim: Metz et al. 2022 (VeLO), arXiv:2211.09760, augment their tasks so.
"""

import argparse
import dataclasses
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from scipy import stats
from scripts.reproduce.arms import COLORS, console

from heurax.files import write_text
from heurax.inner import SupervisedTraining, train
from heurax.outer import Descent, OuterOptimizer, PersistentES
from heurax.rules import NNAdam
from heurax.runs import OuterProgram, split_cpu, tasks_mesh
from heurax.runs.provenance import code_version, environment
from heurax.tasks import ImageMLP, Reparameterized

WORK = Path("runs/reproduce/augmentation")
NUM_SEEDS, NUM_STEPS, NUM_LIFETIMES, NUM_OUTER_STEPS = 10, 50, 16, 1500
SCALES = {"1/30": 1 / 30, "1": 1.0, "30": 30.0}
HELD_OUT = 1_000_003
"""The seed of everything random in the evaluation; meta-training has small ones."""

RULE = NNAdam(lstm_hidden_size=8, output_scale=0.1, learning_rate=0.01)
LETTERS, DIGITS = (ImageMLP(dataset, width=(16, 16), batch_size=32) for dataset in ("letters", "digits"))
PLAIN = SupervisedTraining(RULE, LETTERS, num_steps=NUM_STEPS)
ARMS = {
    "with": dataclasses.replace(PLAIN, task=Reparameterized(LETTERS, "global", 0.02, 50.0)),
    "without": PLAIN,
}


def outer_loop(num_steps: int) -> Descent:
    """How both arms are meta-trained."""
    estimator = PersistentES(num_tasks=8, window=10, sigma=0.02, shaping="z_score")
    return Descent(estimator, OuterOptimizer(learning_rate=1e-2, warmup_steps=min(50, num_steps - 1)), num_steps)


def final_losses(work: Path, arm: str, seeds: range, num_steps: int, num_lifetimes: int) -> list[dict[str, Any]]:
    """Meta-train and judge every seed of an arm; what is there already is kept."""
    inner, outer = ARMS[arm], outer_loop(num_steps)
    program = OuterProgram(inner, outer, tasks_mesh(outer.num_tasks), min(50, num_steps))
    digest = hashlib.sha256(repr((inner, outer, DIGITS, num_lifetimes)).encode()).hexdigest()[:12]
    paths = {seed: work / f"{arm}-{seed}-{digest}.json" for seed in seeds}
    missing = [seed for seed, path in paths.items() if not path.is_file()]
    if missing:
        advance, judges = program.compile(), {name: judge(scale, num_lifetimes) for name, scale in SCALES.items()}
        work.mkdir(parents=True, exist_ok=True)
    for seed in missing:
        started = time.monotonic()
        state, meta_losses = program.init(seed), []
        for _ in range(num_steps // program.num_steps):
            state, metrics = advance(state)
            meta_losses.append(float(np.mean(metrics["meta_loss"])))
        seconds = time.monotonic() - started
        theta = jax.device_get(state.theta)
        finals = {name: float(judged(theta)) for name, judged in judges.items()}
        kept = {"arm": arm, "seed": seed, "final_loss": finals, "meta_loss": meta_losses[-1], "seconds": seconds}
        write_text(paths[seed], json.dumps({**kept, "code_version": code_version()}) + "\n")
        shown = ", ".join(f"{loss:.3g} at {name}" for name, loss in finals.items())
        console.print(f"{arm} augmentation, seed {seed}: {shown}; {seconds:.0f} s", highlight=False)
    return [json.loads(path.read_text()) for path in paths.values()]


def judge(scale: float, num_lifetimes: int) -> Any:
    """From `theta` to the mean final loss on digits at a scale of the parameters."""
    task = Reparameterized(DIGITS, "global", scale, scale)
    inner = SupervisedTraining(RULE, task, num_steps=NUM_STEPS, loss_cap=1e3)
    keys = jax.random.split(jax.random.key(HELD_OUT), num_lifetimes)
    last = NUM_STEPS // 10
    return jax.jit(lambda theta: jax.vmap(lambda key: train(inner, theta, key).loss[-last:])(keys).mean())


def compare(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Medians, and their difference with a percentile bootstrap interval over seeds."""
    interval = stats.bootstrap(
        (ours, theirs),
        lambda a, b, axis: np.median(a, axis=axis) - np.median(b, axis=axis),
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
    }


def of(finals: pd.DataFrame, arm: str, scale: str) -> np.ndarray:
    """The final losses of one arm at one scale, `[seeds]`."""
    return np.asarray(finals.loc[(finals["arm"] == arm) & (finals["scale"] == scale), "final_loss"])


def figure(finals: pd.DataFrame) -> Any:
    """Every seed's final loss, by scale and arm, and the medians."""
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
    parser.add_argument("--short", action="store_true", help="two seeds, little else: whether it runs at all")
    short = parser.parse_args().short
    split_cpu(None)
    work = WORK.with_name("augmentation-short") if short else WORK
    out = work if short else Path("results/augmentation")
    seeds, num_steps, num_lifetimes = (range(2), 10, 2) if short else (range(NUM_SEEDS), NUM_OUTER_STEPS, NUM_LIFETIMES)

    runs = [run for arm in ARMS for run in final_losses(work, arm, seeds, num_steps, num_lifetimes)]
    finals = pd.DataFrame(
        {"arm": run["arm"], "seed": run["seed"], "scale": scale, "final_loss": loss}
        for run in runs
        for scale, loss in run["final_loss"].items()
    )
    by_scale = {}
    for scale in SCALES:
        by_scale[scale] = compare(of(finals, "with", scale), of(finals, "without", scale))
        d = by_scale[scale]["with_minus_without"]
        console.print(
            f"times {scale}: median final loss {by_scale[scale]['median_with']:.4g} with, "
            f"{by_scale[scale]['median_without']:.4g} without; with - without {d['median']:+.4g} "
            f"[{d['low']:+.4g}, {d['high']:+.4g}], {len(seeds)} seeds each",
            highlight=False,
        )
    described = {
        "claim": "on a held-out task re-scaled 30 times and 1/30, the median final loss is lower with augmentation",
        "score": f"mean loss over the last tenth of {NUM_STEPS} steps on digits, {num_lifetimes} lifetimes",
        "seeds": len(seeds),
        "scales": by_scale,
        "rule": repr(RULE),
        "meta_training": {arm: repr(inner) for arm, inner in ARMS.items()},
        "outer": repr(outer_loop(num_steps)),
        "origin": {
            "command": "bash scripts/reproduce/augmentation.sh",
            "code_versions": sorted({run["code_version"] or "unknown" for run in runs}),
            "environment": environment(),
            "seconds": sum(run["seconds"] for run in runs),
        },
    }
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "augmentation.json", json.dumps(described, indent=2) + "\n")
    write_text(out / "finals.csv", finals.to_csv(index=False, float_format="%.5g"))
    figure(finals).savefig(out / "augmentation.png", dpi=110)


if __name__ == "__main__":
    main()
