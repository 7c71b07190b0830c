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
# # Discovered objectives
#
# A policy gradient says how an agent's actions should change, and a value function what it should predict. Both can be
# discovered: a network reads what the agent did, backwards, and emits where the policy and a prediction without given
# meaning should go. What makes such a network good is how well agents learn by it.
#
# Here are four such stories from saved results, each of which two CPU cores repeat: meta-gradients, a curriculum,
# evolution with an eye on the clock, and the rule that DeepMind released.

# %%
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import pandas as pd

import heurax
from heurax.envs import GridWorld
from heurax.inner import ActorTraining, TableTorso, train
from heurax.rules import OptaxOptimizer

folder = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "results" / "lpg_small").is_dir())


def record(name):
    return json.loads((folder / "results" / name / f"{name}.json").read_text())


def table(name, file):
    return pd.read_csv(folder / "results" / name / f"{file}.csv")


def plain(axes, **labels):
    axes.set(**labels)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.5)


def banded(axes, curves, by, x):
    for name, curve in curves.groupby(by, sort=False):
        axes.plot(curve[x], curve["mean"], label=name, lw=1.5)
        axes.fill_between(curve[x], curve.low, curve.high, alpha=0.2, lw=0)


# %% [markdown]
# ## By meta-gradients
#
# LPG (Oh et al. 2020) on small grid worlds. Every meta-step, agents at all stages of their lives make five updates, and
# the gradient of what they then earn flows back through all five into the network. Left, what agents earn while the
# network learns; right, agents on levels that it has never seen, beside tuned A2C and beside the network as it began.

# %%
training, curves = table("lpg_small", "meta_training"), table("lpg_small", "curves")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(training.step, training.episode_return, ".", color="0.75", ms=3)
left.plot(training.step, training.episode_return.rolling(10, min_periods=3).mean(), color="#d1495b")
plain(left, xlabel="meta-step", ylabel="return over the agents' lives")
banded(right, curves, "arm", "env_step")
plain(right, xlabel="environment steps", ylabel="return on held-out levels")
right.legend(frameon=False, fontsize=8)

# %%
lpg = record("lpg_small")
finals = pd.DataFrame(lpg["final_return"]).T
print("share of tuned A2C's final return: {mean:.3f} [{low:.3f}, {high:.3f}]".format(**lpg["ratio"]))
finals.round(3)

# %% [markdown]
# ## Take it with you
#
# The artifact is a pure function: `heurax.load("zoo:lpg-small").objective`. Or it takes the place of the rule in a
# lifetime, here of 16 agents on 16 levels larger than any that it was discovered on.

# %%
learned = heurax.load("zoo:lpg-small")
env = GridWorld("medium", observation="index")
inner = ActorTraining(
    rule=learned.rule,
    env=env,
    num_steps=60,
    num_envs=16,
    optimizer=OptaxOptimizer("sgd", 20.0, {}),
    torso=TableTorso(env.num_states),
)
lives = jax.jit(jax.vmap(lambda key: train(inner, learned.theta, key).metrics["episode_return"]))
returns = lives(jax.random.split(jax.random.key(0), 16))
figure, axes = plt.subplots(figsize=(5, 2.8), layout="constrained")
axes.plot(returns.T, color="#00798c", alpha=0.25, lw=0.8)
axes.plot(jnp.mean(returns, axis=0), color="#00798c", lw=2)
plain(axes, xlabel="update", ylabel="return")
