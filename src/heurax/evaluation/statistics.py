"""Statistics over seeds and tasks: means and interquartile means with bootstrap intervals."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Interval", "bootstrap_mean", "interquartile_mean", "stratified_bootstrap"]


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


def interquartile_mean(values: np.ndarray) -> float:
    """The mean of the middle half of all values, over every axis.

    Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice",
    arXiv:2108.13264.

    >>> interquartile_mean(np.array([[0.0, 1.0, 2.0, 100.0]]))
    1.5
    """
    return float(stats.trim_mean(np.ravel(np.asarray(values, np.float64)), 0.25))


def stratified_bootstrap(
    values: np.ndarray,
    statistic: Callable[[np.ndarray], float] = interquartile_mean,
    confidence: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """A statistic over tasks and seeds, with a percentile interval from resampling the seeds of each task.

    For paired comparisons pass the differences. Source: as `interquartile_mean`.

    Args:
        values: `[seeds, tasks]`, two seeds at least.
        statistic: of such an array.
        confidence: in (0, 1).
        num_resamples: >= 1.
        seed: of the resampling.

    Returns:
        The statistic of `values` and the bounds of its interval.

    >>> stratified_bootstrap(np.array([[1.0, 5.0], [1.0, 5.0]])).low
    3.0
    """
    values = np.asarray(values, np.float64)
    generator = np.random.default_rng(seed)
    seeds, tasks = values.shape
    rows = generator.integers(seeds, size=(num_resamples, seeds, tasks))
    if statistic is interquartile_mean:  # the same, all at once
        resampled = stats.trim_mean(values[rows, np.arange(tasks)].reshape(num_resamples, -1), 0.25, axis=1)
    else:
        resampled = [statistic(values[row, np.arange(tasks)]) for row in rows]
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(statistic(values), float(low), float(high))
