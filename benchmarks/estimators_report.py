"""What `benchmarks.estimators` shows: a table, and the meta-loss against inner steps, one curve per estimator."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.table import Table

__all__ = ["figure", "table"]

# The colours of Okabe and Ito, which colour-blind readers can tell apart. Solid: differentiated; dashed: evolution.
BLUE, SKY, GREEN, VERMILION, ORANGE, PURPLE, BLACK = (
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#d55e00",
    "#e69f00",
    "#cc79a7",
    "#000000",
)
GROUPS = {
    "meta-gradients": {
        "FullGradient": (BLUE, "-"),
        "Replay": (SKY, "-"),
        "ForwardGradient": (GREEN, "-"),
        "TruncatedGradient": (VERMILION, "-"),
        "MixedSteps": (ORANGE, "-"),
        "Bootstrapped": (PURPLE, "-"),
    },
    "evolution": {
        "FullES": (BLUE, "--"),
        "GuidedES": (SKY, "--"),
        "PersistentES": (GREEN, "--"),
        "NoiseReuseES": (BLACK, "--"),
        "ESSingle": (PURPLE, "--"),
        "TruncatedES": (VERMILION, "--"),
    },
    "both": {"Average": (BLACK, "-")},
}
TITLES = {
    "learned_optimizer": "Learned optimizer: noisy quadratics",
    "influence_balancing": "Influence balancing: windows mislead",
}


def table(problem: str, record: dict[str, Any]) -> Table:
    """For the terminal."""
    result = Table(title=problem, title_justify="left")
    columns = {
        "bias": lambda r: f"{r['bias']:+.2f} ± {r['bias_error']:.2f}",
        "cosine": lambda r: f"{r['cosine']:.2f} ± {r['cosine_error']:.2f}",
        "variance": lambda r: f"{r['variance']:,.2g}",
        "inner steps": lambda r: f"{r['inner_steps']:,}",
        "cost": lambda r: f"{r['cost']:,.2g}",
        "ms": lambda r: f"{r['milliseconds']:.2f}",
        "MB": lambda r: f"{r['memory_bytes'] / 1e6:.2f}",
        "rate": lambda r: f"{r['learning_rate']:g}",
        "loss at the end": lambda r: f"{np.mean([curve[-1] for curve in r['curves']]):.4g}",
    }
    for heading in ("estimator", *columns):
        result.add_column(heading, justify="left" if heading == "estimator" else "right")
    for name, row in record.items():
        result.add_row(name, *(show(row) for show in columns.values()))
    return result


def figure(record: dict[str, Any]) -> Figure:
    """One panel per problem: geometric means over seeds, and the range of the seeds.

    Args:
        record: what the benchmark wrote.
    """
    drawing = Figure(figsize=(11, 4.4), layout="constrained")
    panels = drawing.subplots(1, len(TITLES) + 1, width_ratios=[1] * len(TITLES) + [0.32])
    handles: dict[str, Any] = {}
    for panel, (problem, title) in zip(panels, TITLES.items(), strict=False):
        results = record["problems"][problem]
        for name, (color, line) in (item for group in GROUPS.values() for item in group.items()):
            steps, curves = np.array(results[name]["curve_inner_steps"][1:]), np.array(results[name]["curves"])[:, 1:]
            mean = np.exp(np.log(curves).mean(0))
            panel.fill_between(steps, curves.min(0), curves.max(0), color=color, alpha=0.1, linewidth=0)
            (handles[name],) = panel.plot(steps, mean, line, color=color, linewidth=1.6)
        for name, loss in record.get("references", {}).get(problem, {}).items():
            panel.axhline(loss, color="0.45", linewidth=1, linestyle=":")
            panel.annotate(
                name,
                (0.99, loss),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="bottom",
                color="0.35",
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1},
            )
        _dress(panel, title)
    panels[0].set_ylabel("meta-loss")
    panels[-1].axis("off")
    _legends(panels[-1], handles)
    return drawing


def _dress(panel: Axes, title: str) -> None:
    panel.set(xscale="log", yscale="log", xlabel="inner steps spent")
    panel.set_title(title, loc="left", fontsize="medium")
    panel.grid(which="major", alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


def _legends(panel: Axes, handles: dict[str, Any]) -> None:
    rows = sum(len(group) + 2 for group in GROUPS.values())
    row = 0
    for heading, group in GROUPS.items():
        panel.text(0, 1 - row / rows, heading, fontweight="bold", fontsize="small", va="center")
        for offset, name in enumerate(group, start=1):
            height = 1 - (row + offset) / rows
            handle = handles[name]
            style = {"color": handle.get_color(), "linestyle": handle.get_linestyle(), "linewidth": 1.6}
            panel.plot([0, 0.22], [height, height], **style)
            panel.text(0.28, height, name, fontsize="small", va="center")
        row += len(group) + 2
    panel.set(xlim=(0, 1), ylim=(0, 1.03))
