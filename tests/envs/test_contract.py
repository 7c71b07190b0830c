"""One contract for every environment, alone and as a batch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import (
    ENVIRONMENTS,
    ActionRepeat,
    Box,
    Brax,
    Catch,
    ClipAction,
    Discrete,
    FrameStack,
    Gymnax,
    LevelPerEpisode,
    TimeLimit,
    refresh_resets,
    reset_batch,
    step_batch,
)

CART_POLE = Gymnax("CartPole-v1", ranges=(("force_mag", 5.0, 20.0),))

ENVS = {
    "ActionRepeat": ActionRepeat(Catch(rows=6), num_repeats=2),
    "Brax": Brax("fast", episode_length=5),
    "Catch": Catch(rows=4),
    "ClipAction": ClipAction(Gymnax("Pendulum-v1")),
    "FrameStack": FrameStack(Catch(rows=4), num_frames=3),
    "Gymnax": CART_POLE,
    "LevelPerEpisode": LevelPerEpisode(TimeLimit(CART_POLE, num_steps=4)),
    "TimeLimit": TimeLimit(CART_POLE, num_steps=4),
}
TRUNCATE_ONLY = {"Brax", "LevelPerEpisode", "TimeLimit"}
"""In the few steps of these tests."""

NUM_ENVS = 3
NUM_STEPS = 12


def test_the_contract_covers_the_registry():
    assert {type(env).__name__ for env in ENVS.values()} == set(ENVIRONMENTS)
    assert all(hash(env) == hash(env) for env in ENVS.values())


def rollout(env, key):
    """A random policy in a batch of environments on a sampled level, and the first reset again."""
    key_level, key_reset, key_steps = jax.random.split(key, 3)
    level = env.sample(key_level)
    state = reset_batch(env, level, key_reset, NUM_ENVS)

    def body(state, key):
        key_action, key_step, key_refresh = jax.random.split(key, 3)
        action = jax.vmap(env.action_space.sample)(jax.random.split(key_action, NUM_ENVS))
        new_state, step = step_batch(env, level, refresh_resets(env, level, state, key_refresh), action, key_step)
        return new_state, (action, step)

    final, (actions, steps) = jax.lax.scan(body, state, jax.random.split(key_steps, NUM_STEPS))
    return state, final, actions, steps


@pytest.mark.parametrize("name", ENVS)
def test_random_rollouts(name):
    env = ENVS[name]
    keys = jax.random.split(jax.random.key(0), 2)
    both = jax.jit(jax.vmap(lambda key: rollout(env, key)))
    first, final, actions, steps = both(keys)

    lead = (2, NUM_STEPS, NUM_ENVS)
    assert steps.observation.shape == steps.next_observation.shape == (*lead, *env.observation_shape)
    for field in ("reward", "terminated", "truncated", "ended", "episode_return", "episode_length"):
        assert getattr(steps, field).shape == lead
    assert steps.observation.dtype == steps.reward.dtype == steps.episode_return.dtype == jnp.float32
    assert steps.terminated.dtype == steps.truncated.dtype == steps.ended.dtype == jnp.bool
    assert np.isfinite(steps.next_observation).all()
    assert np.isfinite(steps.reward).all()

    # a fixed point under scan, and the same again from the same keys
    chex.assert_trees_all_equal_shapes_and_dtypes(first, final)
    chex.assert_trees_all_equal(both(keys), (first, final, actions, steps))

    space = env.action_space
    assert isinstance(space, (Discrete, Box))
    if isinstance(space, Discrete):
        assert actions.dtype == jnp.int32
        assert actions.shape == lead
        assert set(np.unique(actions)) == set(range(space.num_actions))
    else:
        assert actions.dtype == jnp.float32
        assert actions.shape == (*lead, *space.shape)
        assert (actions >= space.low).all()
        assert (actions <= space.high).all()

    # episodes end, are counted, and are followed by the first observation of the next
    ended = np.asarray(steps.ended)
    np.testing.assert_array_equal(ended, steps.terminated | steps.truncated)
    if name in TRUNCATE_ONLY:
        assert ended.any()
        assert not steps.terminated.any()
    going_on = np.asarray(steps.observation)[~ended], np.asarray(steps.next_observation)[~ended]
    np.testing.assert_allclose(*going_on, rtol=1e-5, atol=1e-6)  # XLA may compute the two in differently fused kernels
    total, length = np.zeros((2, NUM_ENVS), np.float32), np.zeros((2, NUM_ENVS), np.int32)
    for t in range(NUM_STEPS):
        total, length = total + np.asarray(steps.reward[:, t]), length + 1
        np.testing.assert_allclose(steps.episode_return[:, t], total, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(steps.episode_length[:, t], length)
        total, length = np.where(steps.ended[:, t], 0, total), np.where(steps.ended[:, t], 0, length)


@pytest.mark.parametrize("name", ENVS)
def test_one_copy_equals_the_same_copy_in_a_batch(name):
    env = ENVS[name]

    def run(key):
        key_level, key_reset, key_action, key_step = jax.random.split(key, 4)
        level = env.sample(key_level)
        state, observation = env.reset(level, key_reset)
        state, step = env.step(level, state, env.action_space.sample(key_action), key_step)
        return observation, state, step

    keys = jax.random.split(jax.random.key(1), 2)
    together = jax.jit(jax.vmap(run))(keys)
    alone = jax.jit(run)(keys[1])
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[1], together), alone, rtol=1e-5, atol=1e-6)
