"""Scores over many tasks as figures: performance profiles, and intervals side by side."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from heurax.analysis.style import COLORS, INK, legend, line_styles, log_axis, new_figure
from heurax.evaluation import Profile

__all__ = ["interval_figure", "profile_figure", "profile_table"]


def profile_table(profile: Profile, names: Sequence[str]) -> pd.DataFrame:
    """A performance profile as a tidy table.

    Args:
        profile: of `heurax.evaluation.performance_profile`.
        names: of the optimizers, in its order.

    Returns:
        The columns `optimizer`, `tau` and `fraction`.

    Raises:
        ValueError: the number of names is another than that of optimizers.
    """
    if len(names) != len(profile.fraction):
        raise ValueError(f"names must be as many as the profile has optimizers, {len(profile.fraction)}, got {names}")
    return pd.DataFrame(
        {
            "optimizer": np.repeat(np.asarray(names, object), len(profile.tau)),
            "tau": np.tile(profile.tau, len(names)),
            "fraction": profile.fraction.ravel(),
        }
    )


def profile_figure(profiles: pd.DataFrame) -> Figure:
    """For each optimizer, the share of tasks on which it is at most a factor slower than the fastest.

    Args:
        profiles: `optimizer`, `tau` and `fraction`: of `profile_table`, or one horizon of `SuiteData.profiles`. The
            first optimizer is the learned one.
    """
    figure, panels = new_figure()
    axes = panels[0, 0]
    names = list(dict.fromkeys(profiles["optimizer"]))
    for place, (name, style) in enumerate(line_styles(names).items()):
        rows = profiles[profiles["optimizer"] == name]
        width = 2.2 if place == 0 else 1.4
        axes.step(rows["tau"], rows["fraction"], where="post", label=name, lw=width, **style)
    log_axis(axes, "x", 1.0, float(np.max(profiles["tau"])))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="time to target, relative to the fastest", ylabel="share of tasks", ylim=(-0.03, 1.03))
    legend(axes)
    return figure


def interval_figure(rows: pd.DataFrame, label: str, level: float = 0.0, highlight: str | None = None) -> Figure:
    """Means with their intervals, one below the other, the highest on top.

    Args:
        rows: `name`, `mean`, `low` and `high`, of `interval_table`; one at least.
        label: what they are.
        level: where a line is drawn: that of no difference.
        highlight: the name that is drawn in orange; None for all.

    Raises:
        ValueError: there are no rows.
    """
    if rows.empty:
        raise ValueError("rows must be at least one, got none")
    rows = rows.sort_values("mean")
    figure, panels = new_figure(height=0.9 + 0.27 * len(rows))
    axes = panels[0, 0]
    axes.axvline(level, color=INK, lw=0.8)
    for place, (name, mean, low, high) in enumerate(rows[["name", "mean", "low", "high"]].itertuples(index=False)):
        color = COLORS[0] if highlight in (None, name) else COLORS[1]
        axes.plot([low, high], [place, place], color=color, lw=2.0, alpha=0.55, solid_capstyle="butt")
        axes.plot(mean, place, "o", color=color, ms=5, mew=0)
    axes.set_yticks(range(len(rows)), rows["name"], parse_math=False)
    axes.grid(False, axis="y")
    axes.tick_params(left=False)
    axes.spines["left"].set_visible(False)
    axes.set(xlabel=label, ylim=(-0.6, len(rows) - 0.4))
    return figure
