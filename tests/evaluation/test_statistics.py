"""Statistics, against scipy and against known distributions."""

import numpy as np
from scipy import stats

from heurax.evaluation import interquartile_mean, stratified_bootstrap


def test_the_interquartile_mean_forgets_the_outer_quarters():
    values = np.array([[-1e9, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 1e9]])
    assert interquartile_mean(values) == np.mean([2.0, 3.0, 4.0, 5.0])


def test_stratified_bootstrap_resamples_seeds_within_tasks():
    """Tasks far apart add no width to the interval; its width is that of a mean of normals."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(40, 5)) + 1000 * np.arange(5)
    interval = stratified_bootstrap(values, statistic=np.mean, num_resamples=2000)
    half = stats.norm.ppf(0.975) / np.sqrt(200)
    assert interval.mean == values.mean()
    np.testing.assert_allclose([interval.mean - interval.low, interval.high - interval.mean], half, rtol=0.15)


NUMBERS = """1.668 1.337 1.146 1.746 1.109 2.382 1.806 1.629 0.464 0.24 0.507 1.877 1.605 0.369 1.863 0.825 0.826 3.089
1.527 1.75 1.767 0.361 1.826 5.813 0.548 2.528 2.713 2.685 0.938 1.137 0.556 1.426 3.625 0.837 0.191 1.544 2.725 1.235
4.509 1.305"""
SCORES = np.array(NUMBERS.split(), np.float64).reshape(8, 5)
"""Eight seeds of five tasks."""


def test_stratified_bootstrap_agrees_with_what_rliable_gave():
    """rliable 1.2.0 with pandas 2.3.3: interquartile mean and its interval of 20,000 resamples, `RandomState(0)`.

    rliable cannot be imported beside the pandas that we pin, so its numbers stand here. Two independent bootstraps of
    that size differ by about 0.005 in a bound.
    """
    interval = stratified_bootstrap(SCORES, num_resamples=20_000)
    np.testing.assert_allclose(interval.mean, 1.46005, rtol=1e-6)
    np.testing.assert_allclose([interval.low, interval.high], [1.19504625, 1.76250125], atol=0.015)
