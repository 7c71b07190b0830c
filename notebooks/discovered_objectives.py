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
# Here are such networks, from saved results: some that were found on two CPU cores within half an hour each, by
# meta-gradients, by evolution and with a curriculum of levels, and the one that DeepMind found on many games and
# released. Each section names the script that repeats it.

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
# LPG (Oh et al. 2020) on small grid worlds, `scripts/reproduce/lpg_small.sh`. Every meta-step, agents at all stages of
# their lives make five updates, and the gradient of what they then earn flows back through all five into the network.
# Left, what agents earn while the network learns; right, agents on levels that it has never seen, beside tuned A2C and
# beside the network as it began.

# %%
training, curves = table("lpg_small", "meta_training"), table("lpg_small", "curves")
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
left.plot(training.step, training.episode_return, ".", color="0.75", ms=3)
left.plot(training.step, training.episode_return.rolling(10, min_periods=3).mean(), color="#d1495b")
plain(left, xlabel="meta-step", ylabel="return over the agents' lives")
banded(right, curves, "arm", "env_step")
right.legend(frameon=False, fontsize=8)
plain(right, xlabel="environment steps", ylabel="return on held-out levels")

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

# %% [markdown]
# ## By evolution, with a clock
#
# A rule that knows how much of training is over could explore first and settle later. Meta-gradients look five updates
# ahead and cannot see what that is worth; evolution judges whole lifetimes (Jackson et al. 2024). Temporally aware LPG
# and plain LPG, `scripts/reproduce/ta_lpg.sh`, began as one rule and had the same budget of evolution, on lifetimes of
# 20, 60 and 250 updates. What the clock is worth on held-out levels, and at a length that neither has seen:

# %%
temporal, schedules = record("ta_lpg"), table("ta_lpg", "schedules")
horizons = [*temporal["horizons"], temporal["unseen_horizon"]]
gains = pd.DataFrame({f"{n} updates": temporal["gains"][f"horizon {n}"] for n in horizons}).T
gains.round(3)

# %% [markdown]
# What they do: the policy's entropy over training, and the size of the policy's targets when the rule is told another
# progress, all else equal. Plain LPG cannot react to that. What meta-gradients made of the same rule hardly does.

# %%
rules = list(dict.fromkeys(schedules.rule))
titles = {"entropy": "policy entropy", "size_of_targets": "relative size of targets"}
figure, panels = plt.subplots(2, len(rules), figsize=(9.5, 5), layout="constrained", sharex=True, sharey="row")
for row, (quantity, title) in zip(panels, titles.items(), strict=True):
    for axes, rule in zip(row, rules, strict=True):
        shown = schedules[(schedules.rule == rule) & (schedules.quantity == quantity)]
        banded(axes, shown, "horizon", "progress")
        plain(axes)
    row[0].set_ylabel(title)
for axes, rule in zip(panels[0], rules, strict=True):
    axes.set_title(rule, fontsize=10)
panels[0, 2].legend(title="updates", frameon=False, fontsize=8, loc="lower center", ncols=2)
for axes in panels[1]:
    axes.set_xlabel("progress")

# %% [markdown]
# ## With a curriculum
#
# Which levels should a rule be discovered on? GROOVE (Jackson et al. 2023) prefers those on which agents that learn by
# it fall behind an A2C agent. Equal meta-steps with even levels and with levels by regret,
# `scripts/reproduce/groove_small.sh`: returns on held-out levels of the distribution, and on larger ones.

# %%
groove = record("groove_small")
compared = {
    levels: {name: "{mean:.3f} [{low:.3f}, {high:.3f}]".format(**score) for name, score in found.items()}
    for levels, found in (
        (levels, result["final_return"] | {"regret minus even": result["regret_minus_even"]})
        for levels, result in groove["results"].items()
    )
}
print(len(groove["pairs"]), "pairs of runs;", groove["seeds"], "x", groove["levels_per_seed"], "levels each")
pd.DataFrame(compared).transpose()

# %% [markdown]
# ## The rule that was released
#
# Disco103 (Oh et al. 2025; `scripts/reproduce/disco_catch.sh`) was found on 103 environments. Here it trains small
# agents from scratch on three that have little in common with those; beside it a one-step actor-critic, with the best
# of six settings on each. `heurax import disco_103.npz disco_103 --rule Disco` makes the artifact from the released
# file.

# %%
disco, curves = record("disco_catch"), table("disco_catch", "curves")
tasks = list(disco["tasks"])
figure, panels = plt.subplots(1, len(tasks), figsize=(3.4 * len(tasks), 3), layout="constrained", squeeze=False)
for axes, task in zip(panels.flat, tasks, strict=True):
    banded(axes, curves[curves.task == task], "arm", "env_step")
    axes.legend(frameon=False, fontsize=8)
    axes.locator_params(axis="x", nbins=3)
    plain(axes, title=task, xlabel="environment steps", ylabel="return")

# %%
finals = {
    arm: {task: disco["tasks"][task][arm]["final_return"]["mean"] for task in tasks}
    for arm in ("Disco103", "tuned actor-critic")
}
pd.DataFrame(finals).round(2)

# %% [markdown]
# The same recipe from scratch, on two cores: a Disco rule of 12,666 numbers, meta-trained on small grid worlds whose
# agents are tables, `scripts/reproduce/disco_small.sh`. Perceptrons on Catch learn by it, by its random initialisation,
# and by A2C.

# %%
small, curves = record("disco_small"), table("disco_small", "curves")
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
banded(axes, curves, "arm", "env_step")
axes.legend(frameon=False, fontsize=8)
plain(axes, xlabel="environment steps", ylabel="return on Catch")
print("gain over its initialisation: {mean:+.3f} [{low:+.3f}, {high:+.3f}]".format(**small["gain"]))
