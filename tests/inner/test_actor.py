"""One loop for every objective: agents learn, with any rule, torso and optimizer; meta-gradients; refusals."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.artifacts.importers import import_artifact
from heurax.config import find_config, read_config
from heurax.envs import Brax, Catch, GridWorld
from heurax.errors import HeuraxError
from heurax.evaluation import LifetimesConfig
from heurax.inner import ActorTraining, ConvTorso, Critic, MLPTorso, TableTorso, train
from heurax.outer import Evolution, TruncatedGradient
from heurax.rules import (
    LPG,
    LPO,
    ActorCritic,
    ClippedAdam,
    Disco,
    LearnableAdam,
    Open,
    OptaxOptimizer,
    TemporallyAwareLPG,
)
from heurax.runs import TrainConfig

SMALL_DISCO = Disco(5, 6, lifetime_size=4, embedding_size=3, num_bins=11, max_abs_value=5.0)
RULES = {
    "ActorCritic": ActorCritic(),
    "Disco": SMALL_DISCO,
    "LPG": LPG(4, 5),
    "TemporallyAwareLPG": TemporallyAwareLPG(4, 5),
}
SMALL = ActorTraining(
    rule=ActorCritic(),
    env=Catch(rows=5, columns=3),
    num_steps=150,
    num_envs=16,
    num_rollout_steps=8,
    optimizer=OptaxOptimizer("adam", 1e-2),
    torso=MLPTorso((16,)),
)


def begin(inner, seed=0):
    theta = jax.jit(inner.rule.init)(jax.random.key(seed))
    return theta, jax.jit(inner.init)(theta, jax.random.key(seed + 1))


def describe(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, getattr(x, "weak_type", False)), tree)


@pytest.mark.parametrize(
    "changes",
    [{}, {"rule": LearnableAdam(1e-2), "max_gradient_norm": 1.0}],
    ids=["A2C", "a learned optimizer"],
)
def test_learns_to_catch(changes):
    inner = dataclasses.replace(SMALL, num_eval_episodes=64, greedy_eval=True, **changes)
    theta = inner.rule.init(jax.random.key(1))
    lifetime = jax.jit(lambda key: train(inner, theta, key))(jax.random.key(0))
    assert lifetime.metrics["episode_return"][0] < 0.2
    assert lifetime.loss[-5:].mean() < -0.75
    assert lifetime.meta_loss <= -0.9
    np.testing.assert_array_equal(lifetime.metrics["episode_return"], -lifetime.loss)
    np.testing.assert_array_equal(lifetime.metrics["episode_length"], 4)
    assert not np.any(lifetime.metrics["nonfinite"])
    assert int(lifetime.state.step) == 150


def test_the_released_rule_learns_to_catch(shared):
    """Disco103 on a small board; on the whole one, `scripts/reproduce/disco_catch.sh`."""
    rule = Disco()
    theta = import_artifact(shared / "weights" / "disco_103.npz", rule).theta
    inner = dataclasses.replace(SMALL, rule=rule, num_steps=150, optimizer=ClippedAdam(1e-2), torso=MLPTorso((32,)))
    lifetime = jax.jit(lambda theta, key: train(inner, theta, key))(theta, jax.random.key(0))
    assert lifetime.metrics["episode_return"][:10].mean() < 0
    assert lifetime.metrics["episode_return"][-10:].mean() > 0.9


TORSOS = {
    "vector": (Catch(5, 3), MLPTorso((8,))),
    "grid": (GridWorld("dense"), MLPTorso((8,))),
    "image": (GridWorld("random_small", "image"), ConvTorso((2,), (8,))),
    "index": (GridWorld("dense", "index"), TableTorso(GridWorld("dense", "index").num_states)),
}


@pytest.mark.parametrize(
    ("rule", "torso", "action_model"),
    [
        *((rule, torso, 4) for rule in ("ActorCritic", "Disco", "LPG") for torso in TORSOS),
        ("Disco", "vector", None),
        ("TemporallyAwareLPG", "vector", None),
    ],
)
def test_agents_have_what_rules_declare(rule, torso, action_model):
    """And their state is a fixed point."""
    env, layers = TORSOS[torso]
    inner = dataclasses.replace(
        SMALL, rule=RULES[rule], env=env, torso=layers, action_model=action_model, num_envs=2, critic=Critic()
    )
    theta = jax.eval_shape(inner.rule.init, jax.random.key(0))
    state = jax.eval_shape(inner.init, theta, jax.random.key(0))
    num_actions = env.action_space.num_actions
    outputs = jax.eval_shape(inner.look, state.params, jnp.zeros((5, 2, *env.observation_shape)))
    wanted = {head.name: (5, 2, *head.shape(num_actions)) for head in RULES[rule].heads(num_actions)}
    assert {name: x.shape for name, x in outputs.items()} == wanted
    assert {name.partition("_")[0] for name in state.params} <= {"actor", "critic"}
    after, result = jax.eval_shape(inner.step, theta, state, jax.random.key(0))
    assert describe(after) == describe(state)
    assert all(x.shape == () and x.dtype == jnp.float32 for x in result.metrics.values())
    assert jax.eval_shape(inner.meta_loss, theta, state, jax.random.key(0)).shape == ()


def test_tables_start_uniform_and_the_actor_is_the_learner():
    inner = dataclasses.replace(SMALL, env=TORSOS["index"][0], torso=TORSOS["index"][1], rule=LPG(4, 5))
    _, state = begin(inner)
    outputs = jax.jit(inner.look)(state.params, jnp.arange(4.0).reshape(2, 2))
    assert all(not np.any(x) for x in outputs.values())
    inner = dataclasses.replace(SMALL, rule=SMALL_DISCO, action_model=4)
    _, state = begin(inner)
    observation = jax.random.normal(jax.random.key(2), (1, 1, 5, 3))
    outputs = jax.jit(inner.look)(state.params, observation)
    logits = jax.jit(inner.agent.step)(state.params, (), observation[0, 0]).outputs
    np.testing.assert_allclose(logits, outputs["logits"][0, 0], rtol=1e-6)
    assert np.all(np.ptp(outputs["z"][0, 0], axis=0) > 0), "actions look the same"


def test_target_networks_follow_and_lifetimes_end():
    """The target network moves a tenth of the way to the agent before its step; after its life nothing moves."""
    inner = dataclasses.replace(SMALL, rule=SMALL_DISCO, num_steps=4, shortest=2)
    theta, start = begin(inner)
    states = [start]
    step = jax.jit(inner.step)
    for i in range(4):
        states.append(step(theta, states[-1], jax.random.key(i))[0])
    length = int(states[0].length)
    assert 2 <= length <= 4
    for i, (before, after) in enumerate(itertools.pairwise(states)):
        moved = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before.target_params, before.params)
        expected = moved if i < length else before.target_params
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-7), after.target_params, expected)
        changed = any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (before.params, after.params)), strict=True))
        assert changed == (i < length)
    lengths = jax.vmap(lambda key: inner._sample_length(key))(jax.random.split(jax.random.key(0), 300))
    assert set(np.asarray(lengths)) == {2, 3, 4}
    assert np.sum(lengths == 2) > np.sum(lengths == 4)


@pytest.mark.parametrize("name", ["LPG", "Disco"])
def test_meta_gradients_are_those_of_the_surrogate(name):
    """Of one update, against a difference quotient: with the same noise and a small step, actions are the same.

    From the second update on, gradients are meant to differ from derivatives: of what a network reads, some parts are
    cut off.
    """
    inner = dataclasses.replace(
        SMALL, rule=RULES[name], num_envs=4, critic=Critic(), optimizer=OptaxOptimizer("sgd", 0.3)
    )
    theta, start = begin(inner)

    def loss(theta):
        state, _ = inner.step(theta, start, jax.random.key(2))
        return inner.meta_loss(theta, state, jax.random.key(3))

    value_and_gradient = jax.jit(jax.value_and_grad(loss))
    value, gradient = value_and_gradient(theta)
    norm = math.sqrt(sum(float(jnp.sum(x**2)) for x in jax.tree.leaves(gradient)))
    assert np.isfinite(value)
    assert norm > 1e-4
    epsilon = 1e-2 / norm
    moved = [jax.tree.map(lambda x, g, s=s: x + s * epsilon * g, theta, gradient) for s in (-0.5, 0.5)]
    low, high = (float(value_and_gradient(x)[0]) for x in moved)
    assert (high - low) / epsilon == pytest.approx(norm**2, rel=0.05)


def test_estimators_and_evolution_take_it():
    inner = dataclasses.replace(SMALL, rule=LPG(4, 5), num_steps=4, num_envs=2)
    with_critic = dataclasses.replace(inner, critic=Critic())
    estimator = TruncatedGradient(2, "final", window=2)
    theta = jax.eval_shape(inner.rule.init, jax.random.key(0))
    state = jax.eval_shape(functools.partial(estimator.init, with_critic), theta, jax.random.key(0))
    estimate, after = jax.eval_shape(
        functools.partial(estimator.estimate, with_critic), theta, state, jax.random.key(0)
    )
    assert describe(estimate.gradient) == describe(theta)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        outer = Evolution(population_size=4, objective="final")
        state = jax.eval_shape(functools.partial(outer.init, inner), jax.random.key(0))
        after, metrics = jax.eval_shape(functools.partial(outer.step, inner), state)
    assert describe(after.theta) == describe(state.theta)
    assert metrics["meta_loss"].shape == ()


def test_optimizers_with_features_of_the_agent_are_served():
    inner = dataclasses.replace(SMALL, rule=Open(), num_envs=2)
    theta = jax.eval_shape(inner.rule.init, jax.random.key(0))
    state = jax.eval_shape(inner.init, theta, jax.random.key(0))
    assert describe(jax.eval_shape(inner.step, theta, state, jax.random.key(0))[0]) == describe(state)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_steps": 0}, "num_steps must be >= 1, got 0"),
        ({"num_rollout_steps": 0}, "num_rollout_steps must be >= 1"),
        ({"shortest": 151}, "shortest must be between 1 and num_steps = 150, got 151"),
        ({"entropy_bonus": -1.0}, "entropy_bonus must be >= 0"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm must be > 0"),
        ({"action_model": 0}, "action_model must be >= 1, got 0"),
        ({"return_floor": -math.inf}, "return_floor must be finite"),
        ({"rule": LPO()}, "rule must be an objective or a learned optimizer, got LPO"),
        ({"torso": TableTorso(4)}, r"TableTorso needs the number of a state, got observations \[5, 3\]"),
        ({"torso": ConvTorso()}, r"ConvTorso needs observations \[height, width, channels\], got \[5, 3\]"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_bad_parts_are_refused():
    for bad, message in (
        (lambda: MLPTorso((8, 0)), "hidden_sizes must be >= 1"),
        (lambda: ConvTorso((0,)), "channels must be >= 1, got 0"),
        (lambda: TableTorso(0), "num_states must be >= 1, got 0"),
        (lambda: Critic(learning_rate=0.0), "learning_rate must be > 0"),
        (lambda: Critic(trace_decay=2.0), r"trace_decay must be in \[0, 1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            bad()


@pytest.mark.parametrize("rule", ["LPG", "Disco", "ActorCritic"])
def test_continuous_actions_are_refused_in_one_sentence(rule):
    with pytest.raises(
        ValueError, match=rf"{rule} needs discrete actions; the environment's are 1 numbers in \[-1, 1\]"
    ):
        dataclasses.replace(SMALL, rule=RULES[rule], env=Brax("inverted_pendulum"))
    arguments = ["--inner.env=Brax", "--inner.env.name=inverted_pendulum"]
    with pytest.raises(HeuraxError, match="ActorTraining: ActorCritic needs discrete actions") as error:
        read_config(LifetimesConfig, find_config("agents/catch"), arguments)
    assert len(str(error.value).splitlines()) == 1


def test_configs_build_it():
    config, _ = read_config(LifetimesConfig, find_config("agents/catch"), ["--inner.rule=LPG"])
    assert isinstance(config.inner, ActorTraining)
    assert config.inner.rule == LPG()
    meta, _ = read_config(TrainConfig, None, ["--inner=ActorTraining", "--inner.critic.learning_rate=0.1"])
    assert isinstance(meta.inner, ActorTraining)
    assert meta.inner.critic == Critic(0.1)


def test_meta_gradients_pass_through_windows_of_the_default_optimizer():
    """Through Adam, with gradients of 0 among those of the agent."""
    inner = ActorTraining(
        LPG(hidden_size=4), Catch(rows=4, columns=3), num_steps=4, num_envs=2, num_rollout_steps=4, critic=Critic()
    )
    estimator = TruncatedGradient(num_tasks=2, window=2, objective="final")
    theta = inner.rule.init(jax.random.key(0))

    @jax.jit
    def estimate(key):
        key_init, key_estimate = jax.random.split(key)
        return estimator.estimate(inner, theta, estimator.init(inner, theta, key_init), key_estimate)[0]

    result = estimate(jax.random.key(1))
    assert result.metrics["nonfinite"] == 0
    assert all(np.isfinite(x).all() and np.any(x) for x in jax.tree.leaves(result.gradient["policy"]))
