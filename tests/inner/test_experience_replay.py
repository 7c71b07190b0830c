"""Experience replay: what is kept, what is drawn, and that agents learn with it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import Catch
from heurax.inner import ActorTraining, ExperienceReplay, MLPTorso, train
from heurax.inner.experience_replay import Rollout
from heurax.rules import ClippedAdam, Disco

TIME, BATCH = 3, 2


def rollout(number):
    """All of whose rewards are numbers of the rollout and of the copy."""
    reward = jnp.broadcast_to(10.0 * number + jnp.arange(BATCH, dtype=jnp.float32), (TIME, BATCH))
    return Rollout(
        observation=jnp.broadcast_to(reward[:1, :, None], (TIME + 1, BATCH, 1)),
        behaviour_logits=jnp.zeros((TIME, BATCH, 2)),
        action=reward.astype(jnp.int32),
        reward=reward,
        ended=jnp.zeros((TIME, BATCH), jnp.bool),
    )


def test_the_last_rollouts_are_drawn_evenly_and_whole():
    replay = ExperienceReplay(capacity=3, num_replayed=50)
    mix = jax.jit(replay.mix)
    state = replay.init(rollout(0))
    for number in range(5):
        state, mixed = mix(state, rollout(number), jax.random.key(number))
        jax.tree.map(lambda x, fresh: np.testing.assert_array_equal(x[:, :BATCH], fresh), mixed, rollout(number))
        drawn = np.asarray(mixed.reward[:, BATCH:])
        assert np.all(drawn == drawn[0]), "trajectories stay whole"
        np.testing.assert_array_equal(mixed.observation[:-1, BATCH:, 0], drawn)
        np.testing.assert_array_equal(mixed.action[:, BATCH:], drawn)
        wanted = {10.0 * n + i for n in range(max(0, number - 2), number + 1) for i in range(BATCH)}
        values, counts = np.unique(drawn[0], return_counts=True)
        assert set(values) == wanted
        assert counts.min() > 0.4 * counts.mean()


def test_agents_live_with_it():
    """From the same first rollout on; what is kept passes through compiled lifetimes."""
    rule = Disco(5, 6, lifetime_size=4, embedding_size=3, num_bins=11, max_abs_value=5.0)
    inner = ActorTraining(
        rule=rule, env=Catch(4, 3), num_steps=30, num_envs=4, num_rollout_steps=6, torso=MLPTorso((16,))
    )
    inner = dataclasses.replace(inner, optimizer=ClippedAdam(1e-2))
    theta = rule.init(jax.random.key(0))
    replay = ExperienceReplay(capacity=5, num_replayed=3)
    lifetimes = [
        jax.jit(lambda key, inner=inner: train(inner, theta, key))(jax.random.key(1))
        for inner in (inner, dataclasses.replace(inner, replay=replay))
    ]
    assert all(np.all(np.isfinite(lifetime.metrics["loss"])) for lifetime in lifetimes)
    assert lifetimes[0].state.replay == ()
    assert int(lifetimes[1].state.replay.count) == 30
    np.testing.assert_array_equal(*(lifetime.loss[0] for lifetime in lifetimes))
    assert np.any(lifetimes[0].metrics["loss"] != lifetimes[1].metrics["loss"])


@pytest.mark.parametrize("name", ["capacity", "num_replayed"])
def test_bad_values_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be >= 1, got 0"):
        ExperienceReplay(**{name: 0})
