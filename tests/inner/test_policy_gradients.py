"""The parts of PPO: advantages, minibatches, policies, networks, the loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from heurax.envs import Box, Discrete
from heurax.inner import (
    NETWORKS,
    POLICIES,
    Categorical,
    ConvNetwork,
    DiagonalGaussian,
    GRUNetwork,
    MLPNetwork,
    TabularNetwork,
)
from heurax.inner.agent import Agent
from heurax.inner.gae import gae
from heurax.inner.minibatches import minibatch_indices
from heurax.inner.ppo_loss import ppo_loss
from heurax.inner.samples import Samples
from heurax.rules import PPOClip

SPACES = {"Categorical": Discrete(3), "DiagonalGaussian": Box((2,))}


def reference_gae(reward, value, next_value, terminated, ended, discount, trace_decay):
    """The definition: a sum over the rest of the episode, for every step anew."""
    advantage = np.zeros_like(reward)
    for t in range(len(reward)):
        weight = 1.0
        for k in range(t, len(reward)):
            delta = reward[k] + discount * next_value[k] * (not terminated[k]) - value[k]
            advantage[t] += weight * delta
            weight *= discount * trace_decay
            if ended[k]:
                break
    return advantage


def test_gae_equals_its_definition_across_terminations_and_time_limits():
    generator = np.random.default_rng(0)
    reward, value, next_value = generator.normal(size=(3, 40)).astype(np.float32)
    ended = generator.random(40) < 0.3
    terminated = ended & (generator.random(40) < 0.5)
    arguments = reward, value, next_value, terminated, ended
    ours = gae(*(jnp.asarray(x) for x in arguments), 0.9, 0.8)
    np.testing.assert_allclose(ours, reference_gae(*arguments, 0.9, 0.8), rtol=1e-5, atol=1e-5)


def test_minibatches_deal_everything_once_and_at_random():
    deal = jax.jit(jax.vmap(lambda key: minibatch_indices(key, 24, 4)))
    hands = np.asarray(deal(jax.random.split(jax.random.key(0), 4000)))
    assert hands.shape == (4000, 4, 6)
    np.testing.assert_array_equal(np.sort(hands.reshape(4000, 24)), np.tile(np.arange(24), (4000, 1)))
    together = np.mean([(hands // 6 == minibatch).any(axis=2) for minibatch in range(4)])
    first = np.bincount(hands[:, 0].ravel(), minlength=24) / 4000
    np.testing.assert_allclose(first, 1 / 4, atol=0.04)  # five standard errors
    assert 0.8 < together <= 1
    with pytest.raises(ValueError, match="num_minibatches must divide num_samples = 24, got 5"):
        minibatch_indices(jax.random.key(0), 24, 5)


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_the_distributions_they_say(name):
    policy, space = POLICIES[name](), SPACES[name]
    params = {k: x + 0.3 for k, x in policy.init(space).items()}
    outputs = jnp.array([0.5, -1.0, 2.0])[: policy.num_outputs(space)]
    noise = policy.noise(space, jax.random.key(0), (20_000,))
    actions = jax.vmap(policy.sample, (None, None, 0))(params, outputs, noise)
    log_prob = jax.vmap(policy.log_prob, (None, None, 0))(params, outputs, actions)
    if name == "Categorical":
        probabilities = np.exp(outputs) / np.exp(outputs).sum()
        np.testing.assert_allclose(np.bincount(actions) / 20_000, probabilities, atol=0.02)
        wanted, entropy = np.log(probabilities)[actions], stats.entropy(probabilities)
    else:
        normal = stats.norm(outputs, np.exp(params["actor_log_std"]))
        np.testing.assert_allclose(actions.mean(0), outputs, atol=0.05)
        np.testing.assert_allclose(actions.std(0), np.exp(0.3), rtol=0.03)
        wanted, entropy = normal.logpdf(actions).sum(1), normal.entropy().sum()
    np.testing.assert_allclose(log_prob, wanted, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(policy.entropy(params, outputs), entropy, rtol=1e-5)
    assert float(policy.log_prob(params, outputs, policy.mode(params, outputs))) >= float(log_prob.max()) - 1e-5


def test_policies_refuse_the_other_kind_of_actions():
    with pytest.raises(ValueError, match="DiagonalGaussian needs continuous actions; the environment has 3 actions"):
        DiagonalGaussian().check(Discrete(3))
    with pytest.raises(ValueError, match=r"Categorical needs discrete actions; the environment's are 2 numbers"):
        Categorical().check(Box((2,)))


SMALL = {
    "MLPNetwork": MLPNetwork((8, 8)),
    "ConvNetwork": ConvNetwork((2,), (8,)),
    "GRUNetwork": GRUNetwork(8),
    "TabularNetwork": TabularNetwork(6),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_agents_have_an_actor_and_a_critic_and_their_unroll_is_their_steps(name):
    shape = () if name == "TabularNetwork" else (4, 4, 2)
    agent = Agent(SMALL[name], Categorical(), shape, Discrete(3))
    params = agent.init(jax.random.key(0))
    assert {"actor", "critic"} <= set(params)
    observation = jax.random.normal(jax.random.key(1), (6, *shape)) if shape else jnp.arange(6.0)
    ended = jnp.array([False, False, True, False, False, False])
    memory = jax.tree.map(lambda x: x + 0.5, agent.network.initial_memory())
    outputs, value = jax.jit(agent.unroll)(params, memory, observation, ended)
    assert (outputs.shape, value.shape) == ((6, 3), (6,))
    for t in range(6):
        seen = agent.step(params, memory, observation[t])
        np.testing.assert_allclose(outputs[t], seen.outputs, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(value[t], seen.value, rtol=1e-5, atol=1e-6)
        memory = agent.network.initial_memory() if ended[t] else seen.memory


def test_the_loss_is_that_of_ppo():
    """Against the formulas of the paper in NumPy, on a linear agent."""
    agent = Agent(MLPNetwork(()), Categorical(), (4,), Discrete(3))
    generator = np.random.default_rng(0)
    params = jax.tree.map(
        lambda x: jnp.asarray(generator.normal(size=x.shape), jnp.float32), agent.init(jax.random.key(0))
    )
    n = 50
    observation = generator.normal(size=(n, 4)).astype(np.float32)
    action = generator.integers(0, 3, n).astype(np.int32)
    log_prob_old, value_old, advantage, target = generator.normal(size=(4, n)).astype(np.float32)
    log_prob_old -= 1
    samples = Samples((), observation, action, log_prob_old, value_old, advantage, target, np.zeros(n, bool))
    loss, metrics = ppo_loss(
        params,
        agent,
        PPOClip(0.2).drift(()),
        jax.tree.map(jnp.asarray, samples),
        jnp.float32(0.0),
        normalise_advantages=True,
        entropy_weight=0.01,
        value_weight=0.5,
        value_clip=0.2,
    )
    layer = lambda name: observation @ params[name]["head"]["kernel"] + params[name]["head"]["bias"][None]  # noqa: E731
    logits, value = np.asarray(layer("actor"), np.float64), np.asarray(layer("critic"), np.float64)[:, 0]
    log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    ratio = np.exp(log_probs[np.arange(n), action] - log_prob_old)
    standard = (advantage - advantage.mean()) / advantage.std()
    policy_loss = -np.minimum(ratio * standard, np.clip(ratio, 0.8, 1.2) * standard).mean()
    clipped = value_old + np.clip(value - value_old, -0.2, 0.2)
    value_loss = 0.5 * np.maximum((value - target) ** 2, (clipped - target) ** 2).mean()
    entropy = -(np.exp(log_probs) * log_probs).sum(1).mean()
    for name, wanted in (("policy_loss", policy_loss), ("value_loss", value_loss), ("entropy", entropy)):
        np.testing.assert_allclose(metrics[name], wanted, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(loss, policy_loss + 0.5 * value_loss - 0.01 * entropy, rtol=1e-5)
