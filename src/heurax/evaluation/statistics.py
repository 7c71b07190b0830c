"""Statistics over seeds: means with bootstrap intervals."""

from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Interval", "bootstrap_mean"]


class Interval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(
    values: np.ndarray, confidence: float = 0.95, num_resamples: int = 10_000, seed: int = 0
) -> Interval:
    """The mean of independent values with a percentile bootstrap interval.

    For paired comparisons pass the differences.

    Args:
        values: `[n]`, n >= 2.
        confidence: in (0, 1).
        num_resamples: >= 1.
        seed: of the resampling.

    >>> bootstrap_mean(np.array([1.0, 2.0, 3.0])).mean
    2.0
    """
    values = np.asarray(values, np.float64)
    if np.ptp(values) == 0:
        return Interval(float(values[0]), float(values[0]), float(values[0]))
    result = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=num_resamples,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    interval = result.confidence_interval
    return Interval(float(values.mean()), float(interval.low), float(interval.high))
