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
    DelayedChain,
    Discrete,
    FrameStack,
    GridLevels,
    GridObject,
    GridWorld,
    Gymnax,
    LevelPerEpisode,
    RandomMDP,
    Snake,
    TimeLimit,
    refresh_resets,
    reset_batch,
    step_batch,
)

CART_POLE = Gymnax("CartPole-v1", ranges=(("force_mag", 5.0, 20.0),))

FRUITS = (GridObject((0.1, 1.0), (0.1, 0.5), (0.1, 0.5), count=2), GridObject((-1.0, 0.0), (0.1, 0.5), (0.5, 0.5)))

ENVS = {
    "ActionRepeat": ActionRepeat(Catch(rows=6), num_repeats=2),
    "Brax": Brax("fast", episode_length=5),
    "Catch": Catch(rows=4),
    "ClipAction": ClipAction(Gymnax("Pendulum-v1")),
    "DelayedChain": DelayedChain(2, 4, noisy=True, distractors=3),
    "FrameStack": FrameStack(Catch(rows=4), num_frames=3),
    "GridWorld": GridWorld(GridLevels(FRUITS, (3, 4), num_walls=3, num_objects=(1, 3), episode_length=(2, 8))),
    "GridWorld index": GridWorld("small", "index", diagonal=True),
    "GridWorld image": GridWorld(
        GridLevels(FRUITS, (3, 4), (4, 5), episode_length=(5, 8), positions="episode"), "image"
    ),
    "Gymnax": CART_POLE,
    "LevelPerEpisode": LevelPerEpisode(TimeLimit(CART_POLE, num_steps=4)),
    "RandomMDP": RandomMDP(5, 3, 2, termination=0.1, reward_noise=0.5),
    "RandomMDP index": RandomMDP(5, 3, 5, episode_length=4, observation="index"),
    "Snake": Snake(3, 4),
    "TimeLimit": TimeLimit(CART_POLE, num_steps=4),
}
TRUNCATE_ONLY = {"Brax", "LevelPerEpisode", "RandomMDP index", "TimeLimit"}
"""In the few steps of these tests."""

NUM_ENVS = 3
NUM_STEPS = 12


def test_the_contract_covers_the_registry():
    elsewhere = {"Playground"}  # an extra, with a test of its own
    assert {type(env).__name__ for env in ENVS.values()} | elsewhere == set(ENVIRONMENTS)
    assert all(hash(env) == hash(env) for env in ENVS.values())


def rollout(env, level, key):
    """A random policy in copies of an environment on one level."""
    key_reset, key_steps = jax.random.split(key)
    state = reset_batch(env, level, key_reset, NUM_ENVS)

    def body(state, key):
        key_action, key_step, key_refresh = jax.random.split(key, 3)
        action = jax.vmap(env.action_space.sample)(jax.random.split(key_action, NUM_ENVS))
        new_state, step = step_batch(env, level, refresh_resets(env, level, state, key_refresh), action, key_step)
        return new_state, (action, step)

    final, (actions, steps) = jax.lax.scan(body, state, jax.random.split(key_steps, NUM_STEPS))
    return state, final, actions, steps


def one_step(env, level, key):
    """A random action in one copy."""
    key_reset, key_action, key_step = jax.random.split(key, 3)
    state, observation = env.reset(level, key_reset)
    return observation, env.step(level, state, env.action_space.sample(key_action), key_step)


@pytest.mark.parametrize("name", ENVS)
def test_random_rollouts(name):
    env = ENVS[name]
    keys = jax.random.split(jax.random.key(0), 2)

    @jax.jit  # the one compilation per environment
    def both(keys):
        levels = jax.vmap(env.sample)(keys)
        alone = one_step(env, jax.tree.map(lambda x: x[1], levels), keys[1])
        together = jax.vmap(lambda level, key: one_step(env, level, key))(levels, keys)
        return jax.vmap(lambda level, key: rollout(env, level, key))(levels, keys), (alone, together)

    (first, final, actions, steps), (alone, together) = both(keys)

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
    chex.assert_trees_all_equal(both(keys)[0], (first, final, actions, steps))

    # and the same alone as among others
    chex.assert_trees_all_close(alone, jax.tree.map(lambda x: x[1], together), rtol=1e-5, atol=1e-6)

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
