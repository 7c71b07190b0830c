"""Curves: meta-training over outer steps, and learned optimizers against baselines over inner steps."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from heurax.analysis.bands import curve_bands, thinned
from heurax.analysis.style import INK, band, legend, line_styles, log_axis, new_figure, steps_axis

__all__ = ["curves_figure", "training_figure", "tuning_figure"]


def training_figure(
    metrics: pd.DataFrame, value: str = "meta_loss", group: str | None = None, label: str | None = None
) -> Figure:
    """A meta-training metric over outer steps.

    Where a group has one run, its values are drawn faintly, and in full their moving mean over a twentieth of them;
    where it has several, such as seeds, their mean and its 95% bootstrap interval.

    Args:
        metrics: `RunData.metrics` of one run, or `stack_runs` of several: the columns `step`, `value`, and `run` where
            there are several.
        value: the metric.
        group: a column whose values get a line each; None for one line.
        label: of the vertical axis; None for the metric's name.

    Returns:
        One panel. Its vertical axis is logarithmic where the metric is positive and spans more than a factor of 10.

    Raises:
        ValueError: a column is missing.
    """
    table = _checked(metrics, ["step", value, *([group] if group else [])])
    figure, panels = new_figure()
    axes = panels[0, 0]
    groups = {"": table} if group is None else {str(name): rows for name, rows in table.groupby(group, sort=False)}
    shown = []
    for (name, rows), style in zip(groups.items(), line_styles(groups).values(), strict=True):
        if "run" in rows and rows["run"].nunique() > 1:
            bands = curve_bands(thinned(rows[["run", "step", value]], by=("run",)), value)
            band(axes, bands["step"], bands["low"], bands["high"], style["color"])
            axes.plot(bands["step"], bands["mean"], label=name, **style)
            shown.append(bands["mean"])
        else:
            curve: Any = thinned(rows[["step", value]].sort_values("step"))
            curve = curve[np.isfinite(curve[value])]
            many = len(curve) > 20
            if not many:
                axes.plot(curve["step"], curve[value], marker="o", ms=3.5, label=name, **style)
            else:
                axes.plot(curve["step"], curve[value], color=style["color"], alpha=0.35, lw=0.8)
                smooth = curve[value].rolling(max(len(curve) // 20, 3), center=True, min_periods=1).mean()
                axes.plot(curve["step"], smooth, label=name, **style)
            shown.append(curve[value])
    _vertical(axes, pd.concat(shown) if shown else pd.Series(dtype=float))
    steps_axis(axes, "outer step")
    axes.set_ylabel(label or value.replace("_", " "))
    legend(axes)
    return figure


def curves_figure(curves: pd.DataFrame, label: str = "training loss (batch)") -> Figure:
    """Losses over inner steps, of a learned optimizer and its baselines, with bands over seeds.

    Args:
        curves: `EvaluationData.curves`: `optimizer`, `step`, `mean`, `low` and `high`. The first optimizer is the
            learned one.
        label: of the vertical axis.

    Raises:
        ValueError: a column is missing.
    """
    table = _checked(curves, ["optimizer", "step", "mean", "low", "high"])
    figure, panels = new_figure()
    axes = panels[0, 0]
    names = list(dict.fromkeys(table["optimizer"]))
    for place, (name, style) in enumerate(line_styles(names).items()):
        curve = thinned(table.loc[table["optimizer"] == name, ["step", "mean", "low", "high"]])
        band(axes, curve["step"], curve["low"], curve["high"], style["color"])
        axes.plot(curve["step"], curve["mean"], label=name, lw=2.2 if place == 0 else 1.4, zorder=3 - place, **style)
    _vertical(axes, table["mean"])
    steps_axis(axes, "inner step")
    axes.set_ylabel(label)
    legend(axes)
    return figure


def tuning_figure(finals: pd.DataFrame, value: str = "final_train_loss", label: str = "final training loss") -> Figure:
    """A final loss over the baselines' learning rates, and as a level that of the learned optimizer, which has none.

    Args:
        finals: `EvaluationData.finals`: `optimizer`, `learning_rate`, `seed` and `value`. The learning rate is NaN for
            the learned optimizer.
        value: the column to show.
        label: of the vertical axis.

    Returns:
        One panel: means over seeds with their 95% bootstrap intervals.

    Raises:
        ValueError: a column is missing.
    """
    table = _checked(finals, ["optimizer", "learning_rate", value])
    figure, panels = new_figure()
    axes = panels[0, 0]
    names = list(dict.fromkeys(table["optimizer"]))
    shown = []
    for name, style in line_styles(names).items():
        rows = table[table["optimizer"] == name]
        grid = curve_bands(rows.assign(step=rows["learning_rate"].fillna(0.0)), value)
        shown.append(grid["mean"])
        if rows["learning_rate"].isna().all():
            mean, low, high = grid.loc[0, ["mean", "low", "high"]]
            axes.axhline(mean, label=name, lw=2.2, **style)
            axes.axhspan(low, high, color=style["color"], alpha=0.2, lw=0)
        else:
            band(axes, grid["step"], grid["low"], grid["high"], style["color"])
            axes.plot(grid["step"], grid["mean"], marker="o", ms=3.5, label=name, **style)
    _vertical(axes, pd.concat(shown))
    rates = table["learning_rate"].dropna()
    if len(rates):
        log_axis(axes, "x", rates.min(), rates.max())
    axes.set(xlabel="learning rate", ylabel=label)
    legend(axes)
    return figure


def _vertical(axes: Axes, values: Any) -> None:
    """A logarithmic axis where it shows more; a word where there is nothing to show."""
    values = values[np.isfinite(values)]
    if values.empty:
        axes.text(0.5, 0.5, "no finite values", transform=axes.transAxes, ha="center", va="center", color=INK)
    elif values.min() > 0 and values.max() > 10 * values.min():
        log_axis(axes, "y", values.min(), values.max())


def _checked(frame: pd.DataFrame, columns: list[str]) -> Any:
    """The frame, if it has the columns; of no static type, since pandas' operations have none that says much."""
    missing = [name for name in columns if name not in frame]
    if missing:
        raise ValueError(f"the table must have a column {missing[0]!r}, got {list(frame.columns)}")
    return frame
