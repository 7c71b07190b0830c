"""Scores, on tables and curves made by hand."""

import numpy as np
import pytest

from heurax.evaluation import (
    area_under_log_curve,
    performance_profile,
    profile_score,
    smoothed,
    speed_up,
    steps_of_baseline,
)


def test_twice_as_slow_everywhere():
    """The profile jumps at 2, and the score is (4 - 2) / (4 - 1)."""
    times = np.array([[10.0, 300.0, 7.0, 1.0]])
    profile = performance_profile(np.concatenate([times, 2 * times]))
    np.testing.assert_array_equal(profile.tau, [1, 2, 4])
    np.testing.assert_array_equal(profile.fraction, [[1, 1, 1], [0, 1, 1]])
    np.testing.assert_allclose(profile_score(np.concatenate([times, 2 * times])), [1, 2 / 3])


def test_mixed_table():
    """Three optimizers on four tasks; the last task's target was reached by none."""
    times = np.array(
        [
            [1.0, 6.0, np.inf, np.inf],
            [3.0, 2.0, 5.0, np.nan],
            [8.0, 2.0, 20.0, np.inf],
        ]
    )
    profile = performance_profile(times)
    np.testing.assert_array_equal(profile.ratio[:, :3], [[1, 3, np.inf], [3, 1, 1], [8, 1, 4]])
    assert np.isinf(profile.ratio[:, 3]).all()
    np.testing.assert_array_equal(profile.tau, [1, 3, 4])
    np.testing.assert_array_equal(
        profile.fraction, [[1 / 4, 1 / 2, 1 / 2], [1 / 2, 3 / 4, 3 / 4], [1 / 4, 1 / 4, 1 / 2]]
    )
    # areas by hand: 1/4 * 2 + 1/2 * 1, 1/2 * 2 + 3/4 * 1, 1/4 * 2 + 1/4 * 1, over 3
    np.testing.assert_allclose(profile_score(times), [1 / 3, 1.75 / 3, 0.25])
    # and by a Riemann sum over a fine grid
    tau = np.linspace(1, 4, 30_001)
    areas = (profile.ratio[:, :, None] <= tau).mean(axis=1).mean(axis=1)
    np.testing.assert_allclose(profile_score(times), areas, atol=1e-3)


@pytest.mark.parametrize(
    ("times", "message"),
    [([[1.0, 0.0]], "times must be > 0, got 0.0"), ([1.0, 2.0], "times must be an array")],
)
def test_bad_times(times, message):
    with pytest.raises(ValueError, match=message):
        performance_profile(np.array(times))


def test_smoothing_is_a_bias_corrected_average():
    curve = np.random.default_rng(0).normal(size=(2, 30))
    average, weight, expected = np.zeros(2), 0.0, []
    for x in curve.T:
        average, weight = 0.9 * average + 0.1 * x, 0.9 * weight + 0.1
        expected.append(average / weight)
    np.testing.assert_allclose(smoothed(curve, 0.9), np.stack(expected, axis=1))


def test_speed_up_over_a_baseline_known_in_closed_form():
    """Two learning rates whose losses are 10 - s/10 and 8 - s/50 after s steps: the envelope changes at 25 steps."""
    step = np.arange(1, 101)
    curves = np.stack([10 - step / 10, 8 - step / 50])[:, None]
    curves = np.concatenate([curves, np.full((1, 1, 100), np.nan)])  # a third one diverged
    baseline = steps_of_baseline(curves, decay=0.0)
    np.testing.assert_allclose(baseline.loss, np.minimum(10 - step / 10, 8 - step / 50))
    # 7 is reached after 30 steps of the first rate, 7.8 after 10 of the second
    np.testing.assert_allclose(speed_up(np.array([7.0, 7.8]), 10, baseline), [3, 1])
    # above its first loss, not finite, below its last one
    np.testing.assert_allclose(speed_up(np.array([9.0, np.nan, -5.0]), 10, baseline), [0.1, 0.1, 10])
    few = steps_of_baseline(curves, decay=0.0, num_knots=5)
    np.testing.assert_array_equal(few.step, [1, 26, 51, 75, 100])


def test_a_loss_that_rises_again_counts_at_its_lowest():
    curve = np.array([[[4.0, 2.0, 3.0, 1.0]]])
    baseline = steps_of_baseline(curve, decay=0.0)
    np.testing.assert_array_equal(baseline.loss, [4, 2, 2, 1])
    np.testing.assert_allclose(speed_up(np.array([2.0, 1.5, 1.0]), 2, baseline), [1, 1.5, 2])


def test_area_under_the_log_curve():
    curves = np.exp(np.array([[0.0, -1.0, -2.0], [3.0, 3.0, 0.0]]))
    np.testing.assert_allclose(area_under_log_curve(curves), [-1, 2])
    curves[0, 1] = np.inf  # counts as the largest finite loss of all
    np.testing.assert_allclose(area_under_log_curve(curves), [1 / 3, 2])
