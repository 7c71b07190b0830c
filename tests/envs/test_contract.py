"""One contract for every environment, alone and as a batch."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import Box, Catch, Discrete, reset_batch, step_batch

ENVS = {
    "Catch": Catch(rows=4),
}

NUM_ENVS = 3
NUM_STEPS = 12

pytestmark = pytest.mark.parametrize("env", ENVS.values(), ids=ENVS)


def act(env, key):
    return jax.vmap(env.action_space.sample)(jax.random.split(key, NUM_ENVS))


def rollout(env, key):
    """A random policy in a batch of environments on a sampled level."""
    key_level, key_reset, key_steps = jax.random.split(key, 3)
    level = env.sample(key_level)
    state = reset_batch(env, level, key_reset, NUM_ENVS)

    def body(state, key):
        key_action, key_step = jax.random.split(key)
        action = act(env, key_action)
        new_state, step = step_batch(env, level, state, action, key_step)
        return new_state, (action, step)

    final, (actions, steps) = jax.lax.scan(body, state, jax.random.split(key_steps, NUM_STEPS))
    return state, final, actions, steps


def test_random_rollouts(env):
    keys = jax.random.split(jax.random.key(0), 2)
    both = jax.jit(jax.vmap(lambda key: rollout(env, key)))
    first, final, actions, steps = both(keys)

    lead = (2, NUM_STEPS, NUM_ENVS)
    assert steps.observation.shape == steps.next_observation.shape == (*lead, *env.observation_shape)
    for field, dtype in steps._asdict().items():
        del dtype
        array = getattr(steps, field)
        assert array.shape[:3] == lead, field
    assert steps.observation.dtype == steps.reward.dtype == steps.episode_return.dtype == jnp.float32
    assert steps.terminated.dtype == steps.truncated.dtype == steps.ended.dtype == jnp.bool
    assert np.isfinite(steps.next_observation).all()
    assert np.isfinite(steps.reward).all()
    chex.assert_trees_all_equal_shapes_and_dtypes(first, final)
    chex.assert_trees_all_equal(both(keys), (first, final, actions, steps))

    if isinstance(env.action_space, Discrete):
        assert actions.dtype == jnp.int32
        assert actions.min() >= 0
        assert actions.max() < env.action_space.num_actions
    else:
        assert isinstance(env.action_space, Box)
        assert actions.dtype == jnp.float32
        assert actions.shape == (*lead, *env.action_space.shape)

    np.testing.assert_array_equal(steps.ended, steps.terminated | steps.truncated)
    going_on = ~np.asarray(steps.ended)
    np.testing.assert_array_equal(np.asarray(steps.observation)[going_on], np.asarray(steps.next_observation)[going_on])
    total, length = np.zeros((2, NUM_ENVS), np.float32), np.zeros((2, NUM_ENVS), np.int32)
    for t in range(NUM_STEPS):
        total, length = total + np.asarray(steps.reward[:, t]), length + 1
        np.testing.assert_allclose(steps.episode_return[:, t], total, rtol=1e-6)
        np.testing.assert_array_equal(steps.episode_length[:, t], length)
        total, length = np.where(steps.ended[:, t], 0, total), np.where(steps.ended[:, t], 0, length)
