"""Sweeps as figures: which values went with which results, how much each field mattered, and every trial's curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from heurax.analysis.bands import curve_bands, thinned
from heurax.analysis.style import COLORS, INK, band, legend, log_axis, new_figure, steps_axis

__all__ = ["importance_figure", "parallel_figure", "response_figure", "trials_figure"]

BEST, OTHERS = COLORS[0], COLORS[1]


def parallel_figure(
    trials: pd.DataFrame, fields: Sequence[str], label: str = "metric", minimizes: bool = True
) -> Figure:
    """Parallel coordinates: a line for each trial through its values and its result, the best tenth in orange.

    Args:
        trials: of `SweepData.trials`: the fields and `metric`; trials without a metric are left out.
        fields: dotted names of what was searched; one at least.
        label: the metric's name.
        minimizes: whether less of it is better.

    Raises:
        ValueError: no fields, or no trial with a metric.
    """
    chosen = _with_metric(trials)
    if not fields:
        raise ValueError("fields must name at least one column, got none")
    columns = [*fields, "metric"]
    order = chosen["metric"].rank(method="first", ascending=minimizes)
    best = order <= max(round(len(chosen) / 10), 1)
    figure, panels = new_figure(width=1.4 + 1.5 * len(columns), height=3.4)
    axes = panels[0, 0]
    axes.grid(False)
    heights = []
    for place, column in enumerate(columns):
        height, ticks = _coordinate(chosen[column])
        heights.append(height)
        axes.axvline(place, color=INK, lw=0.8)
        for at, text in ticks:
            axes.plot([place - 0.025, place], [at, at], color=INK, lw=0.8)
            above = "center" if place == 0 else "top" if at == 0 else "bottom"  # where lines end, beside them
            axes.text(place - 0.04, at, text, ha="right", va=above, fontsize=8.5, color=INK, parse_math=False)
    lines = np.stack(heights, axis=1)
    for line, good in sorted(zip(lines, best, strict=True), key=lambda pair: bool(pair[1])):
        look: dict[str, Any] = {"color": BEST, "lw": 2.2} if good else {"color": OTHERS, "lw": 0.9, "alpha": 0.55}
        axes.plot(range(len(columns)), line, **look)
    axes.set_xticks(range(len(columns)), [*(_short(name, "\n") for name in fields), label])
    axes.tick_params(bottom=False)
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.set(xlim=(-0.55, len(columns) - 0.8), ylim=(-0.08, 1.08))
    return figure


def response_figure(trials: pd.DataFrame, field: str, label: str = "metric") -> Figure:
    """Results over the values of one field: every trial, and the mean wherever trials share a value.

    Args:
        trials: of `SweepData.trials`: the field and `metric`.
        field: dotted name of what was searched.
        label: the metric's name.

    Raises:
        ValueError: no such field, or no trial with a metric.
    """
    chosen = _with_metric(trials)
    if field not in chosen:
        raise ValueError(f"field must be one of the trials' columns, got {field!r}")
    figure, panels = new_figure()
    axes = panels[0, 0]
    x, names = _places(chosen[field])
    axes.plot(x, chosen["metric"], "o", ms=4.5, color=OTHERS, alpha=0.7, mew=0, label="trial")
    means = chosen["metric"].groupby(x).mean()
    if len(means) < len(chosen):
        line = {"linestyle": "none", "marker": "_", "ms": 22, "mew": 2.2} if names else {"marker": "_", "ms": 9}
        axes.plot(means.index, means, color=BEST, label="mean", **line)
    if names:
        axes.set_xticks(range(len(names)), names, parse_math=False)
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif _logarithmic(x):
        log_axis(axes, "x", x.min(), x.max())
    if _logarithmic(chosen["metric"].to_numpy()):
        log_axis(axes, "y", chosen["metric"].min(), chosen["metric"].max())
    axes.set(xlabel=_short(field), ylabel=label)
    legend(axes)
    return figure


def importance_figure(importance: Mapping[str, float]) -> Figure:
    """How much of the metric's differences each field accounts for.

    Args:
        importance: by dotted name, adding up to 1; see `heurax.sweeps.importance`.

    Raises:
        ValueError: it is empty.
    """
    if not importance:
        raise ValueError("importance must hold at least one field, got none")
    ascending = sorted(importance.items(), key=lambda pair: pair[1])
    names, values = [_short(name, "\n") for name, _ in ascending], [value for _, value in ascending]
    figure, panels = new_figure(height=0.9 + 0.42 * len(names))
    axes = panels[0, 0]
    bars = axes.barh(names, values, color=OTHERS, height=0.6)
    axes.bar_label(bars, [f"{value:.0%}" for value in values], padding=4, color=INK, fontsize=9)
    axes.grid(False)
    axes.set_xlim(0, 1.12 * max(*values, 1e-9))
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)
    return figure


def trials_figure(metrics: pd.DataFrame, best_point: int | np.integer, value: str = "meta_loss") -> Figure:
    """The curve of every trial, and in orange those of the best point: their mean, with a 95% band over its seeds.

    Args:
        metrics: of `SweepData.metrics`: `run`, `point`, `step` and `value`.
        best_point: number of the point to bring out.
        value: the metric to show.

    Raises:
        ValueError: a column is missing.
    """
    for name in ("run", "point", "step", value):
        if name not in metrics:
            raise ValueError(f"the table must have a column {name!r}, got {list(metrics.columns)}")
    figure, panels = new_figure()
    axes = panels[0, 0]
    curves: Any = metrics[["run", "point", "step", value]]
    rows: Any = thinned(curves, by=("run", "point"))
    rows = rows[np.isfinite(rows[value].astype(float))]
    others = rows[rows["point"] != best_point].groupby("run")
    for place, (_, curve) in enumerate(others):
        axes.plot(curve["step"], curve[value], color=OTHERS, lw=0.8, alpha=0.5, label=None if place else "other trials")
    bands = curve_bands(rows[rows["point"] == best_point], value)
    band(axes, bands["step"], bands["low"], bands["high"], BEST)
    axes.plot(bands["step"], bands["mean"], color=BEST, lw=2.0, label="best point")
    if _logarithmic(rows[value].to_numpy(float)):
        log_axis(axes, "y", rows[value].min(), rows[value].max())
    steps_axis(axes, "outer step")
    axes.set_ylabel(value.replace("_", " "))
    legend(axes)
    return figure


def _with_metric(trials: pd.DataFrame) -> Any:
    """The trials to draw; of no static type, since pandas' operations have none that says much."""
    chosen = trials[np.isfinite(trials["metric"])]
    if chosen.empty:
        raise ValueError("trials must have at least one with a metric, got none")
    return chosen


def _short(field: str, between: str = ".") -> str:
    """The last two parts of a dotted name, which tell fields apart."""
    return between.join(field.split(".")[-2:])


def _is_number(values: Any) -> bool:
    return all(isinstance(x, int | float | np.number) and not isinstance(x, bool | np.bool_) for x in values)


def _logarithmic(values: np.ndarray) -> bool:
    return len(values) > 0 and bool(values.min() > 0 and values.max() >= 10 * values.min())


def _places(values: Any) -> tuple[np.ndarray, list[str]]:
    """Where values go on an axis: numbers where they are, anything else one after the other, with names."""
    if _is_number(values):
        return values.to_numpy(float), []
    texts = values.map(str)
    names = list(dict.fromkeys(texts))
    return texts.map(names.index).to_numpy(float), names


def _coordinate(values: Any) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights from 0 to 1 on an axis of parallel coordinates, and its ticks."""
    x, names = _places(values)
    if names:
        span = max(len(names) - 1, 1)
        return x / span, [(place / span, name) for place, name in enumerate(names)]
    scale = np.log if _logarithmic(x) else np.asarray
    low, high = float(x.min()), float(x.max())
    if low == high:
        return np.full(len(x), 0.5), [(0.5, f"{low:.3g}")]
    inverse = np.exp if _logarithmic(x) else np.asarray
    distinct = np.unique(x)
    shown = distinct if len(distinct) <= 5 else inverse(np.linspace(scale(low), scale(high), 5))
    height = (scale(x) - scale(low)) / (scale(high) - scale(low))
    places = (scale(shown) - scale(low)) / (scale(high) - scale(low))
    return height, [(float(at), f"{value:.3g}") for at, value in zip(places, shown, strict=True)]
