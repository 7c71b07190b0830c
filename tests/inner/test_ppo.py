"""PPO as an inner loop: it learns, with any drift and any optimizer; time limits; divergence; refusals."""

import dataclasses
from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.config import read_config
from heurax.envs import Box, Catch, Discrete, Environment, EnvStep
from heurax.errors import HeuraxError
from heurax.inner import PPO, ConvNetwork, DiagonalGaussian, GRUNetwork, MLPNetwork, TabularNetwork, train
from heurax.inner.experience import collect
from heurax.inner.samples import make_samples
from heurax.rules import DPO, LPO, AdafacMLP, LearnableAdam, Open, OptaxOptimizer, PPOClip, Scalar
from heurax.runs import TrainConfig

SMALL = PPO(
    rule=PPOClip(),
    env=Catch(rows=5, columns=3),
    num_steps=40,
    num_envs=16,
    num_rollout_steps=16,
    num_epochs=4,
    num_minibatches=2,
    network=MLPNetwork((16,)),
    optimizer=OptaxOptimizer("adam", 1e-2, schedule="linear"),
)


@dataclass(frozen=True)
class Corridor(Environment):
    """Reward 1 in every step; the time limit cuts off after `limit` steps; the observation is the time.

    With `continuous` actions the reward is minus the squared distance of the action from 0.5.
    """

    limit: int = 3
    continuous: bool = False
    scale: float = 1.0

    @property
    def observation_shape(self):
        return (1,)

    @property
    def action_space(self):
        return Box((1,)) if self.continuous else Discrete(2)

    def sample(self, key):
        return ()

    def reset(self, level, key):
        return jnp.zeros((), jnp.int32), jnp.zeros((1,), jnp.float32)

    def step(self, level, state, action, key):
        state += 1
        reward = -((action[0] - 0.5) ** 2) if self.continuous else jnp.ones(())
        observation = state.astype(jnp.float32)[None]
        never = jnp.zeros((), jnp.bool)
        return state, EnvStep(observation, self.scale * reward, terminated=never, truncated=state >= self.limit)


def curve(inner, seed=0, theta=None):
    theta = inner.rule.init(jax.random.key(1)) if theta is None else theta
    return jax.jit(lambda key: train(inner, theta, key))(jax.random.key(seed))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rule": DPO()},
        {"rule": LPO(hidden_size=8, ppo_epsilon=0.2)},
        {"rule": LearnableAdam(1e-2), "drift": DPO()},
        {"network": GRUNetwork(16, "tanh")},
        {"env": Catch(5, 3), "normalise_observations": True, "normalise_rewards": True, "value_clip": None},
    ],
    ids=["PPO", "DPO", "LPO", "a learned optimizer", "recurrent", "normalised"],
)
def test_learns_to_catch(changes):
    inner = dataclasses.replace(SMALL, num_eval_episodes=64, greedy_eval=True, **changes)
    lifetime = curve(inner)
    assert lifetime.metrics["episode_return"][0] < 0.2
    assert lifetime.loss[-5:].mean() < -0.75
    assert lifetime.meta_loss <= -0.9
    np.testing.assert_array_equal(lifetime.metrics["episode_return"], -lifetime.loss)
    np.testing.assert_array_equal(lifetime.metrics["episode_length"], 4)
    assert not np.any(lifetime.metrics["nonfinite"])
    assert int(lifetime.state.step) == 40


def test_learns_continuous_actions():
    env = Corridor(continuous=True)
    inner = dataclasses.replace(SMALL, env=env, entropy_weight=0.0, discount=0.5)
    lifetime = curve(inner)
    assert lifetime.loss[-1] < 0.2 * lifetime.loss[0]


def test_convolutions_learn_too():
    """Catch's board has no channels; a wrapper of one line gives it one."""

    @dataclass(frozen=True)
    class Board(Environment):
        env: Catch = Catch(5, 3)
        action_space = property(lambda self: self.env.action_space)
        observation_shape = property(lambda self: (*self.env.observation_shape, 1))

        def sample(self, key):
            return self.env.sample(key)

        def reset(self, level, key):
            state, observation = self.env.reset(level, key)
            return state, observation[..., None]

        def step(self, level, state, action, key):
            state, step = self.env.step(level, state, action, key)
            return state, step._replace(observation=step.observation[..., None])

    inner = dataclasses.replace(SMALL, env=Board(), network=ConvNetwork((4,), (16,)))
    assert curve(inner).loss[-5:].mean() < -0.75


@pytest.mark.parametrize("network", [MLPNetwork((8,)), GRUNetwork(8)])
def test_state_is_a_fixed_point(network):
    inner = dataclasses.replace(SMALL, network=network, normalise_observations=True, normalise_rewards=True)
    state = jax.eval_shape(inner.init, (), jax.random.key(0))
    after, result = jax.eval_shape(inner.step, (), state, jax.random.key(0))
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, getattr(x, "weak_type", False)), tree)  # noqa: E731
    assert describe(after) == describe(state)
    assert all(x.shape == () and x.dtype == jnp.float32 for x in result.metrics.values())


def test_time_limits_are_bootstrapped_from_the_true_last_observation():
    """Against a loop in NumPy, with the values of a random critic; the trace ends where an episode does."""
    inner = dataclasses.replace(SMALL, env=Corridor(3), num_rollout_steps=8, num_envs=2)
    agent, state = inner.agent, jax.jit(inner.init)((), jax.random.key(0))
    params = jax.tree.map(lambda x: x + 0.1, state.params)
    same = lambda observation: observation  # noqa: E731
    environment, memory, experience = collect(
        agent, params, inner.env, (), state.environment, state.memory, same, jax.random.key(1), 8
    )
    samples = make_samples(agent, params, same, experience, memory, environment.observation, 0.9, 0.8)
    np.testing.assert_array_equal(experience.ended[:, 0], [False, False, True] * 2 + [False, False])
    assert not np.any(experience.terminated)

    value_at = lambda time: float(agent.step(params, (), jnp.array([float(time)])).value)  # noqa: E731
    advantage = 0.0
    for t in reversed(range(8)):
        delta = 1 + 0.9 * value_at(t % 3 + 1) - value_at(t % 3)
        ended = t % 3 == 2
        advantage = delta + 0.72 * advantage * (not ended)
        np.testing.assert_allclose(samples.advantage.reshape(8, 2)[t], advantage, rtol=1e-5)


def test_returns_that_are_not_finite_count_as_the_floor_and_are_flagged():
    inner = dataclasses.replace(SMALL, env=Corridor(3, scale=float("nan")), num_steps=2, return_floor=-7.0)
    lifetime = curve(dataclasses.replace(inner, num_eval_episodes=2))
    np.testing.assert_array_equal(lifetime.loss, 7.0)
    np.testing.assert_array_equal(lifetime.meta_loss, 7.0)
    np.testing.assert_array_equal(lifetime.metrics["nonfinite"], 1.0)
    assert all(np.isfinite(values).all() for values in lifetime.metrics.values())


def test_before_an_episode_has_ended_its_return_so_far_is_reported():
    inner = dataclasses.replace(SMALL, env=Corridor(20), num_rollout_steps=8, num_steps=4)
    np.testing.assert_allclose(curve(inner).loss, [-8, -16, -20, -20])


@pytest.mark.parametrize("rule", [AdafacMLP(), Open()])
def test_learned_optimizers_train_the_agent(rule):
    """They get what they may ask for: the loss, a key, the epoch."""
    inner = dataclasses.replace(SMALL, optimizer=rule, num_steps=1, network=MLPNetwork(()))
    lifetime = curve(inner)
    before = inner.init((), jax.random.split(jax.random.key(0), 3)[0]).params
    chex.assert_trees_all_equal_shapes_and_dtypes(before, lifetime.state.params)
    assert all(
        np.any(a != b) for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(lifetime.state.params), strict=True)
    )
    assert not np.any(lifetime.metrics["nonfinite"])


def test_one_line_of_a_config_changes_the_optimizer_or_the_drift(tmp_path):
    path = tmp_path / "ppo.yaml"
    path.write_text(
        "inner:\n  class_path: PPO\n  init_args:\n    rule: LPO\n    num_steps: 4\n    env: Catch\n"
        "outer:\n  class_path: Evolution\n"
    )
    plain, _ = read_config(TrainConfig, path)
    changed, _ = read_config(TrainConfig, path, ["--inner.optimizer", "AdafacMLP"])
    assert isinstance(plain.inner, PPO)
    assert changed.inner == dataclasses.replace(plain.inner, optimizer=AdafacMLP())
    learned, _ = read_config(TrainConfig, path, ["--inner.rule", "AdafacMLP", "--inner.drift", "DPO"])
    assert learned.inner == dataclasses.replace(plain.inner, rule=AdafacMLP(), drift=DPO())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_minibatches": 3}, r"num_minibatches must divide num_envs \* num_rollout_steps = 256, got 3"),
        ({"num_minibatches": 32, "network": GRUNetwork()}, "num_minibatches must divide num_envs = 16, got 32"),
        ({"discount": 1.5}, r"discount must be in \[0, 1\], got 1.5"),
        ({"num_steps": 0}, "num_steps must be >= 1, got 0"),
        ({"value_clip": 0.0}, "value_clip must be > 0, got 0.0"),
        ({"entropy_weight": -1.0}, "entropy_weight must be >= 0, got -1.0"),
        ({"return_floor": float("-inf")}, "return_floor must be finite, got -inf"),
        ({"rule": Scalar()}, "rule must be a drift or a learned optimizer, got Scalar"),
        ({"policy": DiagonalGaussian()}, "DiagonalGaussian needs continuous actions; the environment has 3 actions"),
        ({"network": TabularNetwork(9)}, r"TabularNetwork needs the number of a state, got observations \[5, 3\]"),
        ({"network": ConvNetwork()}, r"ConvNetwork needs observations \[height, width, channels\], got \[5, 3\]"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_a_config_that_does_not_fit_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "ppo.yaml"
    path.write_text("inner:\n  class_path: PPO\n  init_args:\n    env: Catch\n    policy: DiagonalGaussian\n")
    with pytest.raises(HeuraxError, match="DiagonalGaussian needs continuous actions; the environment has 3 actions"):
        read_config(TrainConfig, path)
    path.write_text(
        "inner:\n  class_path: PPO\n  init_args:\n    env:\n      class_path: Gymnax\n"
        "      init_args:\n        name: CartPole-v2\n"
    )
    with pytest.raises(HeuraxError, match=r"has no environment 'CartPole-v2'; did you mean 'CartPole-v1'") as refusal:
        read_config(TrainConfig, path)
    assert "\n" not in str(refusal.value)
