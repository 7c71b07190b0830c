"""The curriculum by regret: which levels come again, what stays of a run in a checkpoint, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.config import find_config, read_config
from heurax.envs import Catch, GridLevels, GridObject, GridWorld
from heurax.errors import HeuraxError
from heurax.inner import ActorTraining, Critic, InfluenceBalancing, MLPTorso, TableTorso
from heurax.outer import (
    LevelReplay,
    LogUniformLength,
    OuterOptimizer,
    RegretCurriculum,
    TruncatedGradient,
)
from heurax.rules import LPG, OptaxOptimizer
from heurax.runs import OuterProgram, TrainConfig, tasks_mesh

ENV = GridWorld(GridLevels((GridObject((-1.0, 1.0), (1.0, 1.0), (0.0, 0.0)),), (2, 3), episode_length=(4, 4)), "index")
SGD = OptaxOptimizer("sgd", 1.0)
INNER = ActorTraining(
    LPG(2, 3, 2),
    ENV,
    num_steps=4,
    num_envs=2,
    num_rollout_steps=3,
    optimizer=SGD,
    torso=TableTorso(ENV.num_states),
    critic=Critic(),
    num_eval_episodes=3,
    max_eval_steps=4,
)
OUTER = RegretCurriculum(
    TruncatedGradient(4, "final", window=2),
    OuterOptimizer("sgd", 1e-2, warmup_steps=0, schedule="constant"),
    LevelReplay(size=3, replay_probability=0.8, staleness=0.2),
    antagonist_optimizer=SGD,
    num_steps=100,
)


def programs(num_devices, num_steps=2):
    program = OuterProgram(INNER, OUTER, tasks_mesh(OUTER.num_tasks, num_devices), num_steps)
    assert program.mesh.size == num_devices
    return program, program.compile()


def to_host(state):
    """As a checkpoint holds it."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), state)


def from_host(host, abstract):
    def put(x, like):
        is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key)
        return jax.device_put(jax.random.wrap_key_data(jnp.asarray(x)) if is_key else x, like.sharding)

    return jax.tree.map(put, host, abstract)


@pytest.mark.usefixtures("quick_compilation")
def test_a_run():
    """The buffer fills with levels that were played to their end; a run resumes bit for bit; 1 and 4 devices agree."""
    program, advance = programs(4)
    state = program.init(0)
    described = jax.tree.map(lambda x: (x.shape, x.dtype), state)
    states, metrics = [to_host(state)], []
    for _ in range(5):
        state, of_steps = advance(state)
        states.append(to_host(state))
        metrics.append(jax.device_get(of_steps))
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == described
    resumed, again = advance(from_host(states[4], program.abstract_state()))
    jax.tree.map(np.testing.assert_array_equal, states[5], to_host(resumed))
    jax.tree.map(np.testing.assert_array_equal, metrics[4], again)

    # Tasks 2 and 3 begin in the middle of a lifetime, as the clock goes, and their first gives no score.
    np.testing.assert_array_equal(np.concatenate([x["scored"] for x in metrics]), [0] + 9 * [2])
    assert np.concatenate([x["replayed"] for x in metrics]).sum() >= 5
    end = states[5]
    assert np.all(end.buffer.number >= 0)
    assert np.unique(end.buffer.number).size == OUTER.replay.size
    for state in states:
        agents, antagonists, buffer = state.descent.estimator_state.lifetime, state.antagonists, state.buffer
        for name in ("level", "step", "length"):
            jax.tree.map(np.testing.assert_array_equal, getattr(agents, name), getattr(antagonists, name))
        for task, slot in np.argwhere(state.number[:, None] == buffer.number):
            of_task, kept = (
                jax.tree.map(lambda x, i=i: x[i], x) for x, i in ((agents.level, task), (buffer.level, slot))
            )
            jax.tree.map(np.testing.assert_array_equal, of_task, kept)
    assert all(np.isfinite(values).all() for values in jax.tree.leaves(metrics))

    alone, advance_alone = programs(1)
    _, of_steps = advance_alone(alone.init(0))
    for name in ("meta_loss", "theta_norm", "regret", "scored", "replayed", "buffer_filled"):
        np.testing.assert_allclose(of_steps[name], metrics[0][name], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("quick_compilation")
def test_regret_is_the_antagonists_return_minus_the_agents():
    inner = dataclasses.replace(INNER, num_eval_episodes=64)
    theta = inner.rule.init(jax.random.key(0))

    @jax.jit
    def regret(key):
        agent = inner.begin(theta, inner.env.sample(key), key)
        antagonist = OUTER._oppose(inner, agent, key)
        kernel = antagonist.params["actor_logits"]["kernel"]
        antagonist = inner.with_params(
            antagonist, {**antagonist.params, "actor_logits": {"kernel": kernel.at[:, 4].set(9.0)}}
        )
        judge = OUTER._antagonist(inner)
        returns = [judge.evaluate(state, key, 64).mean() for state in (inner_like(antagonist, agent), antagonist)]
        return OUTER._regret(inner, agent, antagonist, key), returns

    found, (agent, antagonist) = regret(jax.random.key(3))
    assert antagonist == 0, "it stays where it is"
    assert agent != 0
    np.testing.assert_allclose(found, antagonist - agent, rtol=1e-6)


def inner_like(antagonist, agent):
    """The antagonist's state with the agent's parameters."""
    return dataclasses.replace(antagonist, params=agent.params)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (InfluenceBalancing(num_steps=4), "inner must be ActorTraining for a curriculum of levels, got Influence"),
        (
            dataclasses.replace(INNER, env=Catch(4, 3), torso=MLPTorso((4,))),
            "env must have levels .* Catch has only one",
        ),
        (dataclasses.replace(INNER, num_steps=5), "window must divide the horizon"),
    ],
)
def test_inner_loops_without_levels_are_refused(inner, message):
    with pytest.raises(ValueError, match=message):
        OUTER.validate(inner)


def test_configs_build_it():
    with pytest.raises(ValueError, match="truncation must be ConstantLength, got LogUniformLength"):
        dataclasses.replace(OUTER, estimator=TruncatedGradient(window=2, truncation=LogUniformLength(2)))
    config, _ = read_config(TrainConfig, find_config("objectives/groove"), ["--outer.replay.size=7"])
    assert isinstance(config.outer, RegretCurriculum)
    assert config.outer.replay.size == 7
    with pytest.raises(HeuraxError, match=r"temperature must be > 0"):
        read_config(TrainConfig, find_config("objectives/groove"), ["--outer.replay.temperature=0"])
