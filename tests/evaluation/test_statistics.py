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
