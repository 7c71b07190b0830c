"""What each wrapper adds, on environments whose every step is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import (
    ActionRepeat,
    Brax,
    Catch,
    ClipAction,
    FrameStack,
    Gymnax,
    LevelPerEpisode,
    TimeLimit,
    refresh_resets,
    reset_batch,
    step_batch,
)

STAY = jnp.ones((), jnp.int32)
KEY = jax.random.key(0)


def episode(env, num_steps, action=STAY):
    level = env.sample(KEY)
    state, observation = env.reset(level, KEY)
    steps = []
    step = jax.jit(env.step)
    for _ in range(num_steps):
        state, result = step(level, state, action, KEY)
        steps.append(result)
    return observation, jax.tree.map(lambda *x: np.stack(x), *steps)


def test_catch_is_that_of_bsuite():
    ours, theirs = Catch(), Gymnax("Catch-bsuite")
    _, a = episode(ours, 9)
    assert a.terminated.tolist() == [False] * 8 + [True]
    assert a.reward[:8].tolist() == [0.0] * 8
    assert a.reward[8] in (-1.0, 1.0)
    (ball,) = np.flatnonzero(a.observation[0, 1])
    assert a.reward[8] == (1.0 if ball == 2 else -1.0)
    assert theirs.observation_shape == ours.observation_shape
    assert theirs.action_space == ours.action_space


def test_time_limit_truncates_and_does_not_terminate():
    _, steps = episode(TimeLimit(Catch(), num_steps=3), 4)
    assert steps.truncated.tolist() == [False, False, True, True]
    assert not steps.terminated.any()
    _, steps = episode(TimeLimit(Catch(rows=4), num_steps=3), 3)
    assert steps.truncated.tolist() == steps.terminated.tolist() == [False, False, True]


def test_action_repeat_sums_rewards_and_stops_at_the_end():
    once, twice = TimeLimit(Catch(rows=4), 10), ActionRepeat(TimeLimit(Catch(rows=4), 10), 2)
    _, a = episode(once, 3)
    _, b = episode(twice, 2)
    np.testing.assert_array_equal(b.observation, a.observation[[1, 2]])
    assert b.terminated.tolist() == [False, True]
    assert b.reward.tolist() == [0.0, a.reward[2]]
    cart = Gymnax("CartPole-v1")
    _, c = episode(ActionRepeat(cart, 3), 2, action=jnp.zeros((), jnp.int32))
    assert c.reward.tolist() == [3.0, 3.0]


def test_frame_stack_shows_the_newest_last():
    env = FrameStack(Gymnax("CartPole-v1"), num_frames=3)
    first, steps = episode(env, 4)
    plain_first, plain = episode(Gymnax("CartPole-v1"), 4)
    assert env.observation_shape == (12,)
    np.testing.assert_array_equal(first, np.tile(plain_first, 3))
    np.testing.assert_array_equal(
        steps.observation[0], np.concatenate([plain_first, plain_first, plain.observation[0]])
    )
    np.testing.assert_array_equal(steps.observation[3], plain.observation[1:4].ravel())


def test_clip_action_keeps_within_bounds():
    env = Gymnax("MountainCarContinuous-v0")
    _, bounded = episode(env, 2, action=jnp.ones((1,)))
    _, clipped = episode(ClipAction(env), 2, action=jnp.full((1,), 7.0))
    np.testing.assert_array_equal(bounded.observation, clipped.observation)
    np.testing.assert_array_equal(bounded.reward, clipped.reward)


@pytest.mark.parametrize("policy", ["step", "rollout", "first"])
def test_reset_policies(policy):
    env = LevelPerEpisode(TimeLimit(Gymnax("CartPole-v1", ranges=(("gravity", 5.0, 15.0),)), 1), reset_policy=policy)

    @jax.jit
    def run(key):
        state = reset_batch(env, (), key, 2)

        def body(state, key):
            state, step = step_batch(env, (), state, jnp.zeros((2,), jnp.int32), key)
            return state, (step.observation, state.state.level["gravity"])

        key_reset, key_steps = jax.random.split(key)
        first = state.observation
        state, before = jax.lax.scan(body, state, jax.random.split(key_steps, 2))
        state = refresh_resets(env, (), state, key_reset)
        _, after = jax.lax.scan(body, state, jax.random.split(key_steps, 2))
        return first, before, after

    first, (before, gravity_before), (after, gravity_after) = run(jax.random.key(0))
    starts = np.concatenate([first[None], before, after])[:, 0]
    distinct = {"step": 5 - 2, "rollout": 2, "first": 1}[policy]  # "step": the last two repeat the keys
    assert len(np.unique(starts, axis=0)) == distinct
    assert len(np.unique(np.concatenate([gravity_before, gravity_after])[:, 0])) == min(distinct, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TimeLimit(Catch(), 0), "num_steps must be >= 1, got 0"),
        (lambda: ActionRepeat(Catch(), 0), "num_repeats must be >= 1, got 0"),
        (lambda: FrameStack(Catch(), 0), "num_frames must be >= 1, got 0"),
        (lambda: ClipAction(Catch()), "env must have a Box of actions, got 3 actions"),
        (lambda: Catch(rows=1), "rows must be >= 2, got 1"),
        (lambda: Catch(columns=0), "columns must be >= 1, got 0"),
        (lambda: Brax("fast", episode_length=0), "episode_length must be >= 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
