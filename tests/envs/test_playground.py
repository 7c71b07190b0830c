"""The adapter to MuJoCo Playground against the raw library.

It skips where the extra is not installed, as in the test environment: Playground brings 415 MB with warp.
"""

import importlib.util
import sys

import jax
import numpy as np
import pytest

from heurax.envs import Playground, reset_batch, step_batch
from heurax.envs.foreign import foreign_habits, import_library
from heurax.errors import HeuraxError

INSTALLED = importlib.util.find_spec("mujoco_playground") is not None


def test_without_the_extra_the_command_that_installs_it_is_shown(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco_playground", None)  # as if it was not installed, where it is
    with pytest.raises(HeuraxError, match=r"mujoco_playground is not installed; pip install 'heurax\[playground\]'"):
        Playground("CartpoleBalance")


@pytest.mark.skipif(not INSTALLED, reason="MuJoCo Playground is not installed: pip install 'heurax[playground]'")
def test_playground_is_the_raw_library():
    with pytest.raises(ValueError, match="no environment 'HoperHop'; did you mean 'HopperHop'"):
        Playground("HoperHop")
    env = Playground("CartpoleBalance")
    registry = import_library("mujoco_playground").registry
    with foreign_habits():
        raw = registry.load("CartpoleBalance", config_overrides={"impl": "jax"})

    @jax.jit
    def compare(key):
        key_reset, key_action = jax.random.split(key)
        ours = reset_batch(env, (), key_reset, 2)
        with foreign_habits():
            theirs = jax.vmap(raw.reset)(jax.random.key_data(jax.random.split(key_reset, 2)))

        def body(carry, action):
            ours, theirs = carry
            ours, step = step_batch(env, (), ours, action, jax.random.key(0))
            with foreign_habits():
                new = jax.vmap(raw.step)(theirs, action)
                new = jax.tree.map(lambda x, y: x.astype(y.dtype), new, theirs)
            return (ours, new), (step, (new.obs, new.reward, new.done))

        actions = jax.random.uniform(key_action, (5, 2, 1), minval=-1.0)
        return jax.lax.scan(body, (ours, theirs), actions)[1]

    step, (observation, reward, done) = compare(jax.random.key(0))
    np.testing.assert_allclose(step.next_observation, observation, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(step.reward, reward, rtol=1e-5)
    np.testing.assert_array_equal(step.terminated, done > 0)
