# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A task and an environment of your own
#
# A rule is trained by lifetimes, and a lifetime needs a problem. Problems come in two kinds: *task families*, on which
# a model is fitted, and *environments*, in which an agent acts. Both are frozen dataclasses with a handful of pure
# functions, written for one problem. Here is one of each.

# %%
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import heurax
from heurax.envs import Discrete, Environment, EnvStep
from heurax.inner import PPO, MLPNetwork, SupervisedTraining, train
from heurax.outer import Descent, OuterOptimizer, TruncatedGradient
from heurax.rules import LearnableAdam, NoDrift, OptaxOptimizer, PPOClip
from heurax.tasks import OwnTask, TaskFamily

# %% [markdown]
# ## One problem: two functions and the data
#
# The least that is needed: initial parameters, a loss, arrays. Parameters may be any tree. Here they are the rates of a
# chemical reaction, A to B to C, to be found from noisy concentrations of B.

# %%
generator = np.random.default_rng(0)
times = generator.uniform(0, 6, 300).astype(np.float32)


def concentration(rates, t):
    first, second = jnp.exp(rates["first"]), jnp.exp(rates["second"])
    return first / (second - first) * (jnp.exp(-first * t) - jnp.exp(-second * t))


truth = {"first": jnp.log(jnp.float32(1.5)), "second": jnp.log(jnp.float32(0.4))}
observed = np.asarray(concentration(truth, times)) + generator.normal(0, 0.02, 300).astype(np.float32)

reaction = OwnTask(
    init_fn=lambda key: {"first": jnp.float32(0.0), "second": jnp.float32(-2.0)},
    loss_fn=lambda rates, batch: jnp.mean((concentration(rates, batch["t"]) - batch["b"]) ** 2),
    data={"t": times, "b": observed},
    batch_size=32,
)
inner = SupervisedTraining(OptaxOptimizer("adam", 0.05), reaction, num_steps=200)
lifetime = jax.jit(lambda key: train(inner, inner.rule.init(key), key))(jax.random.key(0))
found = jax.tree.map(lambda x: float(jnp.exp(x)), lifetime.state.params)
print(f"found rates {found['first']:.2f} and {found['second']:.2f}; true 1.50 and 0.40")

# %% [markdown]
# ## A family of problems
#
# A rule that is meta-trained on one problem knows one problem. A `TaskFamily` is a distribution: `sample` draws a
# task, a small tree of arrays, and everything else is a function of it. This one is the sine waves of few-shot
# learning: fit a wave of random amplitude, phase and frequency with a small network.


# %%
class Wave(NamedTuple):
    amplitude: jax.Array
    phase: jax.Array
    frequency: jax.Array


@dataclass(frozen=True)
class SineWaves(TaskFamily):
    batch_size: int = 16
    hidden_size: int = 24

    def sample(self, key):
        key_amplitude, key_phase, key_frequency = jax.random.split(key, 3)
        return Wave(
            jax.random.uniform(key_amplitude, minval=0.5, maxval=2.0),
            jax.random.uniform(key_phase, maxval=2 * jnp.pi),
            jax.random.uniform(key_frequency, minval=0.5, maxval=2.0),
        )

    def init(self, task, key):
        key_in, key_bias, key_out = jax.random.split(key, 3)
        return {
            "in": jax.random.normal(key_in, (self.hidden_size,)),
            "bias": jax.random.normal(key_bias, (self.hidden_size,)),
            "out": jax.random.normal(key_out, (self.hidden_size,)) / self.hidden_size**0.5,
        }

    def batch(self, task, key, split="train"):
        x = jax.random.uniform(key, (self.batch_size,), minval=-3.0, maxval=3.0)
        return x, task.amplitude * jnp.sin(task.frequency * x + task.phase)

    def evaluation_batch(self, task, split):
        return self.batch(task, jax.random.key({"train": 0, "validation": 1, "test": 2}[split]))

    def loss(self, task, params, batch):
        x, y = batch
        hidden = jnp.tanh(x[:, None] * params["in"] + params["bias"])
        return jnp.mean((hidden @ params["out"] - y) ** 2)


# %% [markdown]
# That is enough to meta-train on it. Four numbers, those of Adam, by exact gradients through windows of twenty steps:
# the meta-gradient passes through your `loss`, and your family is vmapped without having been told.

# %%
inner = SupervisedTraining(LearnableAdam(learning_rate=1e-3), SineWaves(), num_steps=100)
outer = Descent(
    TruncatedGradient(num_tasks=16, window=20), OuterOptimizer(learning_rate=0.05, warmup_steps=0), num_steps=300
)


@jax.jit
def meta_train(key):
    state = outer.init(inner, key)
    state, _ = jax.lax.scan(lambda state, _: outer.step(inner, state), state, length=outer.num_steps)
    return state.theta


fresh = inner.rule.init(jax.random.key(0))
trained = meta_train(jax.random.key(1))
live = jax.jit(jax.vmap(lambda theta, key: train(inner, theta, key), (None, 0)))
keys = jax.random.split(jax.random.key(2), 32)
before, after = live(fresh, keys), live(trained, keys)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for name, lives, theta, colour in (("before", before, fresh, "0.6"), ("after", after, trained, "#00798c")):
    rate = jnp.exp(theta["log_learning_rate"])
    left.plot(lives.loss.mean(0), color=colour, label=f"{name} meta-training: learning rate {rate:.2g}")
left.set(xlabel="step", ylabel="loss, mean of 32 waves", yscale="log", ylim=(None, 6))
left.legend(frameon=False, loc="upper right")
x = jnp.linspace(-3, 3, 200)
for index, colour in enumerate(("#d1495b", "#00798c", "#edae49")):
    wave, params = jax.tree.map(lambda leaf, index=index: leaf[index], (after.state.task, after.state.params))
    right.plot(x, wave.amplitude * jnp.sin(wave.frequency * x + wave.phase), color=colour, lw=3, alpha=0.35)
    right.plot(x, jnp.tanh(x[:, None] * params["in"] + params["bias"]) @ params["out"], color=colour, lw=1.2)
right.set(xlabel="x", title="three waves (wide) and the fits after 100 steps")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
assert after.loss.mean() < 0.5 * before.loss.mean()

# %% [markdown]
# ## An environment
#
# Four functions make a problem for an agent: `sample` draws a level, `reset` begins an episode, `step` takes an action,
# and two properties say what is seen and what can be done. A step never resets; whoever plays does that.
#
# Here an agent walks on a line and is to stay near a drifting target. Levels differ in how fast it drifts.


# %%
class Chase(NamedTuple):
    position: jax.Array
    target: jax.Array
    time: jax.Array


@dataclass(frozen=True)
class ChaseTheTarget(Environment):
    episode_length: int = 40

    @property
    def observation_shape(self):
        return (2,)

    @property
    def action_space(self):
        return Discrete(3)  # left, stay, right

    def sample(self, key):
        return jax.random.uniform(key, minval=0.05, maxval=0.25)

    def reset(self, level, key):
        state = Chase(jnp.float32(0.0), jax.random.uniform(key, minval=-1.0, maxval=1.0), jnp.int32(0))
        return state, self._observe(state)

    def step(self, level, state, action, key):
        drift = level * jax.random.normal(key)
        position = state.position + 0.2 * (action.astype(jnp.float32) - 1)
        state = Chase(position, jnp.clip(state.target + drift, -2.0, 2.0), state.time + 1)
        distance = jnp.abs(state.position - state.target)
        over = state.time >= self.episode_length
        return state, EnvStep(self._observe(state), jnp.exp(-2 * distance), jnp.bool_(False), over)

    def _observe(self, state):
        return jnp.stack([state.position, state.target])


# %% [markdown]
# An agent lives in it as in any other. Here are eight agents under each of three drifts. One of these was discovered by
# heurax, on small grid worlds with tables for agents, and has never seen anything like this environment.

# %%
discovered = heurax.load("zoo:lpo-small")
drifts = {
    "no drift": (NoDrift(), ()),
    "PPO's clip": (PPOClip(), ()),
    "zoo:lpo-small": (discovered.rule, discovered.theta),
}
keys = jax.random.split(jax.random.key(3), 8)


def returns(rule, theta):
    inner = PPO(
        rule,
        ChaseTheTarget(),
        num_steps=40,
        num_envs=16,
        num_rollout_steps=40,
        optimizer=OptaxOptimizer("adam", 3e-3, {"eps": 1e-5}, schedule="linear"),
        network=MLPNetwork(hidden_sizes=(32,)),
    )
    return jax.jit(jax.vmap(lambda key: -train(inner, theta, key).loss))(keys)


curves = {name: np.asarray(returns(rule, theta)) for name, (rule, theta) in drifts.items()}

# %%
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, curve), colour in zip(curves.items(), ("0.6", "#edae49", "#00798c"), strict=True):
    axes.plot(curve.mean(0), color=colour, label=name)
    axes.fill_between(range(40), *np.quantile(curve, (0.25, 0.75), axis=0), color=colour, alpha=0.2, lw=0)
axes.set(xlabel="update", ylabel="return", title="eight agents each: mean and quartiles")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
for name, curve in curves.items():
    print(f"{name}: final return {curve[:, -5:].mean():.1f}")

# %% [markdown]
# The discovered drift is the worse one here, as in most environments where agents are networks: it has only seen tables
# (`results/lpo_small/`). To find one for an environment of yours, put it into a config, `--inner.env`, and let
# `heurax train drifts/lpo_small` search on it.
#
# Both live in your own code; nothing has to be registered for Python to use them. To be named in a config, a class goes
# by its import path (`class_path: my_package.SineWaves`), as long as it can be imported where the run starts.
# `heurax.tasks` and `heurax.envs` have the contract that the ones here are tested against.
