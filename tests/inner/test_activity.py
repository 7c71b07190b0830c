"""What learned optimizers are told of an agent: how active its units are, and how far its training is."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.envs import Box, Catch, Discrete, GridWorld
from heurax.inner import PPO, ActorTraining, ConvNetwork, GRUNetwork, MLPNetwork, MLPTorso, TabularNetwork
from heurax.inner.activity import unit_activity
from heurax.inner.agent import Agent
from heurax.inner.policies import default_policy
from heurax.rules import ActorCritic, Open, PPOClip
from heurax.rules.base import LearnedOptimizer


def dense(params, x):
    return x @ np.asarray(params["kernel"]) + np.asarray(params["bias"])


def test_activities_are_mean_magnitudes_of_what_units_put_out():
    agent = Agent(MLPNetwork((5, 4)), default_policy(Box((2,))), (3,), Box((2,)))
    params = agent.init(jax.random.key(0)) | {"actor_log_std": jnp.array([-1.0, 0.5])}
    x = jax.random.normal(jax.random.key(1), (7, 3))
    activity = jax.jit(agent.activity)(params, agent.memories(7), x)
    assert jax.tree.structure(activity) == jax.tree.structure(params)
    for tower in ("actor", "critic"):
        h = np.asarray(x)
        for name in ("layer_0", "layer_1"):
            h = np.tanh(dense(params[tower][name], h))
            for tensor in ("kernel", "bias"):
                np.testing.assert_allclose(activity[tower][name][tensor], np.abs(h).mean(axis=0), rtol=1e-5)
        outputs = dense(params[tower]["head"], h)
        np.testing.assert_allclose(activity[tower]["head"]["bias"], np.abs(outputs).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(activity["actor_log_std"], np.exp([-1.0, 0.5]), rtol=1e-6)


@pytest.mark.parametrize(
    ("network", "shape"),
    [(ConvNetwork((4,), (5,)), (4, 4, 2)), (GRUNetwork(6), (3,)), (TabularNetwork(9), ())],
    ids=["convolutions", "recurrent", "table"],
)
def test_every_tensor_has_an_activity_for_each_of_its_units(network, shape):
    agent = Agent(network, default_policy(Discrete(3)), shape, Discrete(3))
    params = agent.init(jax.random.key(0))
    activity = jax.jit(agent.activity)(params, agent.memories(2), jnp.ones((2, *shape)))
    assert jax.tree.map(jnp.shape, activity) == jax.tree.map(lambda p: p.shape[-1:], params)
    assert all(np.all(x >= 0) for x in jax.tree.leaves(activity))
    if isinstance(network, GRUNetwork):
        state = jax.vmap(agent.step, (None, 0, 0))(params, agent.memories(2), jnp.ones((2, *shape))).memory
        for gate in activity["gru"].values():
            np.testing.assert_allclose(gate["kernel"], np.abs(state).mean(axis=0), rtol=1e-5)
    if isinstance(network, TabularNetwork):
        assert all(np.all(x == 1) for x in jax.tree.leaves(activity))


def test_memories_along_a_trajectory_are_those_of_acting():
    agent = Agent(GRUNetwork(4), default_policy(Discrete(2)), (3,), Discrete(2))
    params = agent.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (3, 3))
    ended = jnp.array([False, True, False])
    along = jax.jit(agent.memories_along)(params, agent.network.initial_memory(), x, ended)
    first = agent.step(params, jnp.zeros(4), x[0]).memory
    np.testing.assert_allclose(along, np.stack([np.zeros(4), first, np.zeros(4)]), rtol=1e-5)


def test_heads_of_objectives_report_and_silent_units_count_as_inactive():
    inner = ActorTraining(rule=ActorCritic(), env=Catch(4, 3), torso=MLPTorso((5,)), num_envs=2)
    state = jax.jit(inner.init)((), jax.random.key(0))
    params = state.params
    layer = params["actor_torso"]["layer_0"]
    layer["kernel"], layer["bias"] = layer["kernel"].at[:, 2].set(0.0), layer["bias"].at[2].set(-1.0)
    activity = jax.jit(lambda params, x: unit_activity(inner.network.learner(), params, x))(params, jnp.ones((6, 4, 3)))
    units = activity["actor_torso"]["layer_0"]["kernel"]
    assert units[2] == 0
    assert np.any(units > 0)
    assert activity["actor_logits"]["kernel"].shape == (3,)
    assert activity["critic_v"]["kernel"].shape == (1,)


@dataclass(frozen=True)
class Listener(LearnedOptimizer):
    """Does nothing, and keeps what it is told."""

    def init(self, key):
        return ()

    def optimizer(self, theta, num_steps):
        def init(params):
            return {"told": jnp.zeros((4,)), "activations": jax.tree.map(lambda p: jnp.zeros(p.shape[-1:]), params)}

        def update(updates, state, params=None, *, activations, training_proportion, batch_proportion, **extra_args):
            told = jnp.stack([training_proportion, jnp.asarray(batch_proportion)])
            told = jnp.concatenate([state["told"][2:], told])
            return jax.tree.map(jnp.zeros_like, updates), {"told": told, "activations": activations}

        return optax.GradientTransformationExtraArgs(init, update)


@pytest.mark.parametrize("network", [MLPNetwork((4,)), GRUNetwork(4)], ids=["memoryless", "recurrent"])
def test_ppo_tells_progress_epochs_and_activity(network):
    inner = PPO(
        rule=Listener(), env=Catch(4, 3), num_steps=5, num_envs=2, num_rollout_steps=4, num_epochs=3, num_minibatches=1
    )
    inner = dataclasses.replace(inner, network=network, max_gradient_norm=float("inf"), drift=PPOClip())
    state = jax.jit(inner.init)((), jax.random.key(0))
    step = jax.jit(inner.step)
    for i in range(2):
        state = step((), state, jax.random.key(i))[0]
    np.testing.assert_allclose(state.optimizer_state["told"], [0.25, 0.5, 0.25, 1.0])
    assert all(np.all(np.isfinite(x)) and np.any(x) for x in jax.tree.leaves(state.optimizer_state["activations"]))


def test_actors_tell_progress_within_their_own_lifetime():
    inner = ActorTraining(rule=Listener(), env=Catch(4, 3), num_steps=6, shortest=3, num_envs=2, num_rollout_steps=4)
    state = jax.jit(inner.init)((), jax.random.key(3))
    step = jax.jit(inner.step)
    for i in range(int(state.length)):
        state = step((), state, jax.random.key(i))[0]
    np.testing.assert_allclose(state.optimizer_state["told"][-2:], [1.0, 0.0])
    assert all(np.any(x) for x in jax.tree.leaves(state.optimizer_state["activations"]))


def test_open_heeds_activity():
    """Its updates of a unit's weights differ with how active the unit is."""
    inner = PPO(
        rule=Open(),
        env=GridWorld("small", "index"),
        num_steps=2,
        num_envs=2,
        num_rollout_steps=4,
        num_minibatches=1,
        network=MLPNetwork((3,)),
    )
    theta = inner.rule.init(jax.random.key(0))
    params = inner.agent.init(jax.random.key(1))
    optimizer = inner.rule.optimizer(theta, 4)
    ones = jax.tree.map(lambda p: jnp.ones(p.shape[-1:]), params)
    skewed = jax.tree.map(lambda x: x.at[0].set(0.0), ones)

    @jax.jit
    def update(activations):
        key = jax.random.key(2)
        return optimizer.update(params, optimizer.init(params), params, key=key, activations=activations)[0]

    even, uneven = update(ones), update(skewed)
    change = jnp.abs(even["actor"]["layer_0"]["kernel"] - uneven["actor"]["layer_0"]["kernel"]).max(axis=0)
    assert np.all(change > 0)
