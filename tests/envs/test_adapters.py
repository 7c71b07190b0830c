"""The adapters against the raw libraries, step by step and across the ends of episodes."""

import sys
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import Brax, Gymnax, reset_batch, step_batch
from heurax.envs.brax import Backend, _make, brax_names
from heurax.envs.foreign import foreign_habits, import_library
from heurax.envs.gymnax import gymnax_names
from heurax.errors import HeuraxError


@pytest.mark.parametrize(
    ("name", "num_steps", "terminates", "truncates"),
    [
        ("CartPole-v1", 120, True, False),
        ("MountainCar-v0", 420, False, True),
        ("Breakout-MinAtar", 120, True, False),
        ("UmbrellaChain-bsuite", 40, True, False),
    ],
)
def test_gymnax_is_the_raw_library(name, num_steps, terminates, truncates):
    env = Gymnax(name)
    with foreign_habits():
        raw, params = import_library("gymnax").make(name)

    def body(carry, key):
        ours, theirs = carry
        key_action, key = jax.random.split(key)
        action = env.action_space.sample(key_action)
        with foreign_habits():
            observation, theirs, reward, terminated, truncated, info = raw.step(key, theirs, action, params)
        key_step, key_reset = jax.random.split(key)  # as gymnax splits it
        stepped, step = env.step({}, ours, action, key_step)
        fresh, first = env.reset({}, key_reset)
        ended = step.terminated | step.truncated
        ours = jax.tree.map(lambda x, y: jnp.where(ended, x, y), fresh, stepped)
        return (ours, jax.tree.map(lambda x, y: x.astype(y.dtype), theirs, ours)), (
            (jnp.where(ended, first, step.observation), step.observation, step.reward, step.terminated, step.truncated),
            (observation, info["final_observation"], reward, terminated, truncated),
        )

    state, _ = env.reset({}, jax.random.key(1))
    _, (ours, theirs) = jax.jit(lambda state, keys: jax.lax.scan(body, (state, state), keys))(
        state, jax.random.split(jax.random.key(2), num_steps)
    )
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(x, np.asarray(y, x.dtype))
    assert ours[3].any() == terminates
    assert ours[4].any() == truncates


def test_brax_is_the_raw_library_with_its_training_wrappers():
    num_envs, episode_length, num_steps = 2, 25, 80
    env = Brax("inverted_pendulum", episode_length=episode_length, reset_policy="first")
    envs = import_library("brax.envs")
    with foreign_habits():
        raw = envs.training.wrap(envs.get_environment("inverted_pendulum", backend="spring"), episode_length)

    @jax.jit
    def compare(key):
        key_reset, key_action = jax.random.split(key)
        ours = reset_batch(env, (), key_reset, num_envs)
        with foreign_habits():
            theirs = raw.reset(jax.random.key_data(jax.random.split(key_reset, num_envs)))

        def body(carry, action):
            ours, theirs = carry
            ours, step = step_batch(env, (), ours, action, jax.random.key(0))
            with foreign_habits():
                new = raw.step(theirs, action)
                new = jax.tree.map(lambda x, y: x.astype(y.dtype), new, theirs)
            return (ours, new), (step, (new.obs, new.reward, new.done, new.info["truncation"]))

        actions = jax.random.uniform(key_action, (num_steps, num_envs, 1), jnp.float32, -0.3, 0.3)
        _, (step, raw_step) = jax.lax.scan(body, (ours, theirs), actions)
        return step, raw_step

    step, (observation, reward, done, truncation) = compare(jax.random.key(0))
    np.testing.assert_allclose(step.observation, observation, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(step.reward, reward, rtol=1e-6)
    np.testing.assert_array_equal(step.ended, done > 0)
    np.testing.assert_array_equal(step.truncated & ~step.terminated, truncation > 0)
    assert step.terminated.any()
    assert (step.truncated & ~step.terminated).any()
    ended = np.asarray(step.ended)
    assert (np.asarray(step.observation)[ended] != np.asarray(step.next_observation)[ended]).any(axis=-1).all()


def fixed_point(env):
    """Check shapes and dtypes of an environment without running it."""

    def init(key):
        level = env.sample(key)
        return level, reset_batch(env, level, key, 2)

    level, state = jax.eval_shape(init, jax.random.key(0))
    action = jax.eval_shape(lambda key: jax.vmap(env.action_space.sample)(jax.random.split(key, 2)), jax.random.key(0))
    new, step = jax.eval_shape(lambda *args: step_batch(env, *args), level, state, action, jax.random.key(0))

    def types(tree):
        return jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), tree)

    assert types(new) == types(state)
    assert step.observation.shape == (2, *env.observation_shape)


@pytest.mark.slow
def test_every_environment_keeps_its_types():
    for name in gymnax_names():
        fixed_point(Gymnax(name))
    for name in brax_names():
        fixed_point(Brax(name, "generalized" if name == "swimmer" else "spring"))
    for backend in get_args(Backend):
        fixed_point(Brax("inverted_pendulum", backend))


def test_loading_a_model_leaves_nothing_behind(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    _make.__wrapped__("halfcheetah", "spring")  # its model has a deprecated attribute, on which MuJoCo remarks
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")


def test_gymnax_parameters_are_a_distribution_of_levels():
    env = Gymnax("CartPole-v1", ranges=(("gravity", 5.0, 15.0), ("force_mag", 2.0, 20.0)))
    levels = jax.vmap(env.sample)(jax.random.split(jax.random.key(0), 3))
    assert levels["gravity"].shape == (3,)
    assert ((levels["gravity"] >= 5) & (levels["gravity"] <= 15)).all()
    state, _ = env.reset(jax.tree.map(lambda x: x[0], levels), jax.random.key(0))
    action = jnp.ones((), jnp.int32)
    _, result = jax.vmap(env.step, (0, None, None, None))(levels, state, action, jax.random.key(0))
    assert len(np.unique(result.observation[:, 1])) == 3


def test_refusals_name_what_would_be_right(monkeypatch):
    with pytest.raises(ValueError, match="no environment 'CartPol-v1'; did you mean 'CartPole-v1'"):
        Gymnax("CartPol-v1")
    with pytest.raises(ValueError, match="no environment 'hoper'; did you mean 'hopper'"):
        Brax("hoper")
    with pytest.raises(ValueError, match="backend of swimmer: Unsupported backend: spring"):
        Brax("swimmer", "spring")
    with pytest.raises(ValueError, match="ranges names 'grav'"):
        Gymnax("CartPole-v1", ranges=(("grav", 1.0, 2.0),))
    monkeypatch.setitem(sys.modules, "gymnax", None)
    with pytest.raises(HeuraxError, match=r"pip install 'heurax\[envs\]'"):
        Gymnax("CartPole-v1")
