"""Celo2 meta-trained on four sets of 8x8 images, against tuned baselines on tasks of other kinds.

    python -m scripts.reproduce.celo2_small WORK [--short]

`WORK` holds `run`, a run of `learned_optimizers/celo2_small`, and the evaluations of it by suites, in directories of
their names. Writes `results/celo2_small/`: `celo2_small.json` with every figure, `scores.csv` (per task, horizon,
optimizer and seed), `costs.csv` and `celo2_small.png`. `--short` writes a miniature beside the run.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from scripts.reproduce.arms import COLORS

from heurax.evaluation import SUITE_FILE, read_table
from heurax.files import write_text
from heurax.runs.provenance import environment

SUITES = ("small", "language_model")


def figure(described: dict[str, Any]) -> Any:
    """Log-ratios of the learned optimizer to the reference, task by task and horizon by horizon, with intervals.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    tasks, horizons = list(described["tasks"]), list(described["horizons"])
    fig = Figure(figsize=(8, 0.45 * len(tasks) + 1.8), layout="constrained")
    axes = fig.subplots()
    for place, num_steps in enumerate(horizons):
        for row, task in enumerate(tasks):
            mean, low, high = described["tasks"][task][num_steps]["learned"]["log_ratio"].values()
            height = row + 0.22 * (place - (len(horizons) - 1) / 2)
            label = f"{int(num_steps):,} steps" if row == 0 else None
            axes.plot([low, high], [height, height], color=COLORS[place], lw=1.5)
            axes.plot([mean], [height], "o", color=COLORS[place], ms=4, label=label)
    axes.axvline(0, color="0.4", lw=0.8)
    axes.set_yticks(range(len(tasks)), tasks)
    axes.invert_yaxis()
    axes.set_xlabel(f"log(final training loss of tuned {described['reference']} / of celo2-small)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="directory of the run and of its evaluations")
    parser.add_argument("--short", action="store_true", help="a miniature: whether it runs at all")
    options = parser.parse_args()
    work = options.work
    out = work if options.short else Path("results/celo2_small")
    described, scores, costs = {}, [], []
    for suite in SUITES[: 1 if options.short else None]:
        summary = json.loads((work / suite / SUITE_FILE).read_text())
        described[suite] = summary
        scores.append(read_table(work / suite, "scores").assign(suite=suite))
        costs.append(read_table(work / suite, "costs").assign(suite=suite))
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "scores.csv", pd.concat(scores).to_csv(index=False, float_format="%.5g"))
    write_text(out / "costs.csv", pd.concat(costs).to_csv(index=False, float_format="%.5g"))
    figure(described["small"]).savefig(out / "celo2_small.png", dpi=110)
    result = {
        "claim": "whether Celo2, meta-trained on perceptrons of 8x8 images alone, ends lower than AdamW on other "
        "tasks, both with the same schedule and the best of the same learning rates",
        "score": "interquartile mean over tasks and seeds of log(AdamW's final training loss / the learned one's)",
        "suites": described,
        "training": json.loads((work / "run" / "summary.json").read_text()),
        "origin": {"command": "bash scripts/reproduce/celo2_small.sh", "environment": environment()},
    }
    write_text(out / "celo2_small.json", json.dumps(result, indent=2) + "\n")
    console = Console(stderr=True)
    for num_steps, rows in described["small"]["horizons"].items():
        interval = rows["learned"]["log_ratio"]
        console.print(
            f"{num_steps} steps: {interval['mean']:+.3f} [{interval['low']:+.3f}, {interval['high']:+.3f}]",
            highlight=False,
        )


if __name__ == "__main__":
    main()
