"""Scores of optimizers over many tasks: performance profiles, speed-ups over a baseline, areas under curves."""

from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

__all__ = [
    "Profile",
    "StepsOfBaseline",
    "area_under_log_curve",
    "performance_profile",
    "profile_score",
    "smoothed",
    "speed_up",
    "steps_of_baseline",
]


class Profile(NamedTuple):
    """How often each optimizer comes within a factor of the fastest.

    Attributes:
        ratio: `[optimizers, tasks]`, its time over the fastest optimizer's; infinite where a target was not reached.
        tau: factors, ascending from 1, `[points]`.
        fraction: of tasks with a ratio of at most tau, `[optimizers, points]`.
    """

    ratio: np.ndarray
    tau: np.ndarray
    fraction: np.ndarray


def performance_profile(times: np.ndarray, max_ratio: float = 4.0) -> Profile:
    """The performance profile of a table of times to a target.

    `rho_s(tau) = fraction of tasks w with t(s, w) <= tau min_s' t(s', w)`; it steps up at the ratios, and `tau` holds
    all of those up to `max_ratio`, and both ends.

    Source: Dolan and More 2002, arXiv:cs/0102001, as AlgoPerf uses it (Dahl et al. 2023, arXiv:2306.07179).

    Args:
        times: `[optimizers, tasks]`, > 0, in any unit; infinite or NaN where the target was not reached. A task whose
            target nobody reached counts against all.
        max_ratio: largest factor; > 1.

    Raises:
        ValueError: a time or `max_ratio` out of range.

    >>> performance_profile(np.array([[1.0, 1.0], [2.0, 3.0]])).fraction[1].tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    times = np.where(np.isnan(times), np.inf, np.asarray(times, np.float64))
    if times.ndim != 2 or times.size == 0:
        raise ValueError(f"times must be an array [optimizers, tasks], got shape {times.shape}")
    if times.min() <= 0:
        raise ValueError(f"times must be > 0, got {times.min()}")
    if not max_ratio > 1:
        raise ValueError(f"max_ratio must be > 1, got {max_ratio}")
    fastest = times.min(axis=0, keepdims=True)
    ratio = np.where(np.isfinite(fastest), times / np.where(np.isfinite(fastest), fastest, 1.0), np.inf)
    tau = np.unique(np.concatenate([[1.0, max_ratio], ratio[ratio <= max_ratio]]))
    return Profile(ratio, tau, (ratio[:, :, None] <= tau[None, None, :]).mean(axis=1))


def profile_score(times: np.ndarray, max_ratio: float = 4.0) -> np.ndarray:
    """AlgoPerf's score: the mean height of each performance profile, `1 / (r - 1) int_1^r rho(tau) dtau`.

    Exact, since a profile is a staircase: a task of ratio q adds `max(r - q, 0) / (r - 1)` over the number of tasks.

    Args:
        times: as `performance_profile`.
        max_ratio: r; > 1.

    Returns:
        `[optimizers]`, from 0 to 1.

    >>> profile_score(np.array([[1.0, 1.0], [2.0, 2.0]])).round(4).tolist()
    [1.0, 0.6667]
    """
    ratio = performance_profile(times, max_ratio).ratio
    return (np.maximum(max_ratio - ratio, 0) / (max_ratio - 1)).mean(axis=1)


def smoothed(curves: np.ndarray, decay: float = 0.95) -> np.ndarray:
    """The bias-corrected exponential moving average along the last axis, `sum_i decay^i x_(t-i) / sum_i decay^i`.

    Args:
        curves: `[..., steps]`.
        decay: in [0, 1); 0 changes nothing.

    >>> smoothed(np.array([1.0, 4.0]), decay=0.5).tolist()
    [1.0, 3.0]
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be in [0, 1), got {decay}")
    curves = np.asarray(curves, np.float64)
    weights = 1 - decay ** np.arange(1, curves.shape[-1] + 1)
    return lfilter([1 - decay], [1, -decay], curves, axis=-1) / weights


class StepsOfBaseline(NamedTuple):
    """How many steps a tuned baseline takes to each loss: the yardstick of `speed_up`.

    Attributes:
        step: numbers of steps, ascending, `[knots]`.
        loss: lowest loss that the baseline has reached by then, never rising, `[knots]`.
    """

    step: np.ndarray
    loss: np.ndarray


def steps_of_baseline(curves: np.ndarray, decay: float = 0.95, num_knots: int = 512) -> StepsOfBaseline:
    """Measure a baseline, tuned anew for every length of training.

    Curves are smoothed and averaged over seeds; their lower envelope over learning rates, made monotone, is kept at
    evenly spaced knots. A learning rate that diverges on one seed is out.

    Source: VeLOdrome, Metz et al. 2022, arXiv:2211.09760, there of Adam at 15 learning rates, 5 seeds, 100,000 steps.

    Args:
        curves: training losses, `[learning rates, seeds, steps]`; not finite where training diverged.
        decay: of the smoothing.
        num_knots: at most; >= 2.
    """
    if num_knots < 2:
        raise ValueError(f"num_knots must be >= 2, got {num_knots}")
    averages = smoothed(curves, decay).mean(axis=1)
    healthy = np.where(np.isfinite(averages), averages, np.inf)
    lowest = np.minimum.accumulate(healthy.min(axis=0))
    index = np.unique(np.linspace(0, len(lowest) - 1, num_knots).round().astype(int))
    return StepsOfBaseline(index + 1.0, lowest[index])


def speed_up(loss: np.ndarray, num_steps: int, baseline: StepsOfBaseline) -> np.ndarray:
    """VeLOdrome's speed-up: steps that the tuned baseline needs to a loss, over those that it took.

    2 is: as far as the baseline gets in twice the steps. Between knots, steps are interpolated in the loss. It is at
    least `1 / num_steps`, and at most the baseline's longest training over `num_steps`, where a loss is below all that
    the baseline reached: how much more that is, was not measured.

    Args:
        loss: smoothed as the baseline's was, any shape; a loss that is not finite counts as one step's.
        num_steps: after which it was reached; >= 1.
        baseline: of `steps_of_baseline`.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps must be >= 1, got {num_steps}")
    loss = np.asarray(loss, np.float64)
    known = np.isfinite(baseline.loss)
    if not known.any():
        raise ValueError("baseline must have a finite loss, and every learning rate diverged")
    ascending, first = np.unique(baseline.loss[known], return_index=True)  # of knots of equal loss, the first counts
    steps = np.interp(np.where(np.isfinite(loss), loss, np.inf), ascending, baseline.step[known][first])
    return np.asarray(np.where(loss <= ascending[-1], steps, 1.0) / num_steps)


def area_under_log_curve(curves: np.ndarray, floor: float = 1e-12) -> np.ndarray:
    """The mean logarithm of a loss over training: low for one that falls early and far.

    Args:
        curves: losses, `[..., steps]`; not finite values count as the largest finite one of all.
        floor: losses below it count as it; > 0.

    Returns:
        `[...]`, in nats.

    >>> area_under_log_curve(np.exp([1.0, 0.0, -4.0])).round(6).item()
    -1.0
    """
    if not floor > 0:
        raise ValueError(f"floor must be > 0, got {floor}")
    curves = np.asarray(curves, np.float64)
    healthy = np.isfinite(curves)
    if not healthy.any():
        raise ValueError("curves must have a finite loss")
    return np.asarray(np.log(np.maximum(np.where(healthy, curves, curves[healthy].max()), floor)).mean(axis=-1))
