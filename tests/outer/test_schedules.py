"""Truncation schedules: how long lifetimes are, and when they begin."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InfluenceBalancing
from heurax.outer import ConstantLength, CurriculumLength, LogUniformLength, NeverEnding, PersistentES

NUM_STEPS, WINDOW = 40, 5


def histories(truncation, num_tasks, num_windows, seed=0):
    """For each task and window: whether a lifetime begins, and the time in it `[tasks, windows]`."""

    def run(index):
        def body(clock, key):
            start = truncation.begin(clock, key, NUM_STEPS, WINDOW)
            return truncation.end(start.clock, WINDOW), (start.begins, start.time)

        key = jax.random.fold_in(jax.random.key(seed), index)
        clock = truncation.init(index, num_tasks, NUM_STEPS, WINDOW)
        return jax.lax.scan(body, clock, jax.random.split(key, num_windows))[1]

    begins, times = jax.jit(jax.vmap(run))(jnp.arange(num_tasks))
    return np.asarray(begins), np.asarray(times)


def lengths(begins):
    """Lengths of the lifetimes between two beginnings, the first of each task (cut short) left out, per task."""
    return [np.diff(np.flatnonzero(row))[1:] * WINDOW for row in begins]


@pytest.mark.parametrize(
    "truncation",
    [ConstantLength(), LogUniformLength(10), CurriculumLength(10, num_windows=20), NeverEnding()],
    ids=lambda t: type(t).__name__,
)
def test_time_starts_at_zero_and_passes(truncation):
    begins, times = histories(truncation, 8, 64)
    assert begins[:, 0].all()
    later_begins, later_times = begins[:, 1:], times[:, 1:]
    assert (later_times[later_begins] == 0).all()
    passed = later_times == times[:, :-1] + WINDOW
    assert (passed | (later_times == 0)).all()
    assert (times % WINDOW == 0).all()
    assert times.max() < NUM_STEPS
    if not isinstance(truncation, NeverEnding):
        assert ((times[:, 1:] == 0) == later_begins).all()
    assert len(set(times[:, 0])) > 1  # staggered


def test_constant_lifetimes_last_for_the_horizon():
    begins, times = histories(ConstantLength(), 8, 64)
    assert all((row == NUM_STEPS).all() for row in lengths(begins))
    assert sorted(times[:, 0]) == list(range(0, NUM_STEPS, WINDOW))


def test_lengths_are_log_uniform():
    begins, _ = histories(LogUniformLength(10), 200, 200)
    found = np.concatenate(lengths(begins))
    windows, counts = np.unique(found // WINDOW, return_counts=True)
    np.testing.assert_array_equal(windows, np.arange(2, 9))  # 10 to 40 inner steps
    expected = np.log((windows + 1) / windows) / np.log(9 / 2)
    # Of some ten thousand lifetimes; those cut off at the end of the record are missing, and longer ones more often.
    np.testing.assert_allclose(counts / counts.sum(), expected, atol=0.02)


def test_lifetimes_of_a_curriculum_grow_to_the_horizon():
    begins, _ = histories(CurriculumLength(5, num_windows=40), 8, 120)
    for row in lengths(begins):
        assert (np.diff(row) >= 0).all()
        assert row[0] <= 10
        assert row[-1] == NUM_STEPS


def test_a_never_ending_lifetime_begins_once():
    begins, times = histories(NeverEnding(), 4, 64)
    assert (begins.sum(axis=1) == 1).all()
    assert (np.sum(times == 0, axis=1) >= 7).all()  # though its time starts again


def test_persistent_es_forgets_noise_at_every_horizon_of_a_never_ending_lifetime():
    inner = InfluenceBalancing(num_steps=10)
    estimator = PersistentES(1, window=5, sigma=0.1, truncation=NeverEnding())
    theta = jnp.float32(0.5)
    state = estimator.init(inner, theta, jax.random.key(0))

    def body(state, key):
        _, state = estimator.estimate(inner, theta, state, key)
        return state, state.memory[0]

    _, sums = jax.jit(lambda s: jax.lax.scan(body, s, jax.random.split(jax.random.key(1), 200)))(state)
    assert np.std(sums) < 0.2  # of one or two draws; it would be 1 by the end
    assert np.isclose(np.std(sums[::2]), 0.1, rtol=0.3)


def test_fields_are_checked():
    inner = InfluenceBalancing(num_steps=40)
    with pytest.raises(ValueError, match="shortest must be >= 1, got 0"):
        LogUniformLength(0)
    with pytest.raises(ValueError, match=r"shortest must be at most the horizon, inner.num_steps = 40; got 50"):
        PersistentES(window=5, truncation=LogUniformLength(50)).validate(inner)
    with pytest.raises(ValueError, match=r"first must be at most the horizon, inner.num_steps = 40; got 50"):
        PersistentES(window=5, truncation=CurriculumLength(50)).validate(inner)
    with pytest.raises(ValueError, match="num_windows must be >= 1, got 0"):
        CurriculumLength(num_windows=0)
