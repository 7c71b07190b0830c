"""Curves of several seeds in one: their mean and its bootstrap interval at every step."""

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["curve_bands", "thinned"]

POINTS = 400
"""As many as a panel can show."""


def thinned(frame: pd.DataFrame, points: int = POINTS, by: tuple[str, ...] = ()) -> pd.DataFrame:
    """Shorten curves for a figure: means over equal numbers of neighbouring steps.

    Args:
        frame: has a column `step`, numbers, and the columns of `by`.
        points: at most so many steps are left; >= 1.
        by: columns that tell the curves apart.

    Returns:
        The same columns; of the steps of a stretch, the last.

    >>> thinned(pd.DataFrame({"step": [1, 2, 3, 4], "loss": [4.0, 2.0, 1.0, 0.0]}), points=2).loss.tolist()
    [3.0, 0.5]
    """
    if points < 1:
        raise ValueError(f"points must be >= 1, got {points}")
    steps = np.unique(frame["step"])
    if len(steps) <= points:
        return frame
    stretch = np.searchsorted(steps, frame["step"]) * points // len(steps)
    groups = frame.assign(_stretch=stretch).groupby([*by, "_stretch"], sort=False, dropna=False)
    means: Any = groups.mean(numeric_only=True)
    return means.assign(step=groups["step"].max()).reset_index().reindex(columns=frame.columns)


def curve_bands(
    frame: pd.DataFrame, value: str, confidence: float = 0.95, num_resamples: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """The mean over seeds at every step, with a percentile bootstrap interval.

    Values that are not finite are left out, so that a step counts those seeds that have one.

    Args:
        frame: one row per seed and step, with the columns `step` and `value`.
        value: the column to average.
        confidence: of the interval; in (0, 1).
        num_resamples: of the bootstrap; >= 1.
        seed: of the resampling.

    Returns:
        One row per step: `step`, `mean`, `low`, `high`, and `num_seeds`, those that were counted. Where it is 1, the
        interval is that value.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be in (0, 1), got {confidence}")
    finite = frame[np.isfinite(frame[value].astype(float))]
    tail = (1 - confidence) / 2
    rows = []
    for step, values in finite.groupby("step")[value]:
        x = values.to_numpy(float)
        index = np.random.default_rng(seed).integers(len(x), size=(num_resamples, len(x)))
        low, high = np.quantile(x[index].mean(axis=1), [tail, 1 - tail])
        rows.append((step, x.mean(), low, high, len(x)))
    return pd.DataFrame(rows, columns=["step", "mean", "low", "high", "num_seeds"])
