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
# # Discovered drifts
#
# PPO keeps a new policy near the old one by clipping. Mirror learning says what else would do: any *drift* `f` of the
# ratio `r` and the advantage `A` that is non-negative, zero at `r = 1`, and flat there; the agent maximises
# `r A - f(r, A)`. Lu et al. (2022) let evolution find one, read it, and wrote it down as DPO.
#
# Here is the same story, from the saved results of `scripts/reproduce/lpo_small.sh`, which takes two CPU cores some
# forty minutes: a small network, evolved on small grid worlds over whole lifetimes of agents, judged where it has
# never been.

# %%
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import heurax
from heurax.analysis import drift_figure, drift_table, fit_drift, published_drifts

folder = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "results" / "lpo_small").is_dir())
results = folder / "results" / "lpo_small"
record = json.loads((results / "lpo_small.json").read_text())
learned = heurax.load("zoo:lpo-small")
print(learned.rule)

# %% [markdown]
# ## The fitness of the population
#
# Every generation draws new levels, which differ in what there is to win: most of the scatter is theirs. All members
# of a generation meet the same ones, and are told only how they compare.

# %%
fitness = pd.read_csv(results / "fitness.csv")
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.plot(fitness.step, -fitness.meta_loss, ".", color="0.75", ms=3, label="mean of the population")
axes.plot(fitness.step, (-fitness.meta_loss).rolling(20, min_periods=5).mean(), color="#00798c", label="moving mean")
axes.set(xlabel="generation", ylabel="final return")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## What it looks like
#
# Above, the drift; below, its gradient, which is what the agent feels: red pulls the ratio down, blue pushes it up.
# Beside it PPO's clip and DPO. Each panel has a scale of its own.

# %%
drift_figure({"learned": learned.drift} | published_drifts())

# %% [markdown]
# A cut through the surface: what the agent maximises, `r A - f`, over the ratio. PPO goes flat at its edge. A drift
# that falls again *rolls back* a policy that has gone too far.

# %%
figure, panels = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
ratios = np.geomspace(0.4, 2.5, 201)
for axes, advantage in zip(panels, (1.0, -1.0), strict=True):
    for name, drift in ({"learned": learned.drift} | published_drifts()).items():
        table = drift_table(drift, tuple(ratios), (advantage,))
        axes.plot(table.ratio, table.ratio * advantage - table.drift - advantage, label=name)
    axes.axvline(1, color="0.8", lw=0.8, zorder=0)
    axes.set(xscale="log", xlabel="ratio", title=f"A = {advantage:+.0f}", ylabel="$rA - f - A$")
    axes.spines[["top", "right"]].set_visible(False)
panels[0].legend(frameon=False)
# %% [markdown]
# ## Written down
#
# A sparse fit over a library of terms, each of which vanishes at ratio 1, and how much of the surface it explains.

# %%
fit = fit_drift(learned.drift)
print(fit.expression)
print(f"R^2 = {fit.r2:.3f}, root mean squared error {fit.rmse:.3f}")

# %% [markdown]
# ## Where it has been, and where it has not
#
# Final returns, the learned drift minus each other one, paired by seed, with 95% bootstrap intervals. The first line is
# the distribution it learned on, held-out levels; the others are longer training, larger levels and other environments,
# whose agents are networks where it has only seen tables. Differences are in units of the environment's returns.

# %%
rows = [
    {
        "task": task,
        "against": other,
        **difference,
        "seeds": summary["seeds"],
        "learned": summary["final_return"]["LPO, learned"]["mean"],
    }
    for task, summary in record["tasks"].items()
    for other, difference in summary["learned_minus"].items()
]
pd.DataFrame(rows).set_index(["task", "against"]).round(3)

# %%
curves = pd.read_csv(results / "curves.csv")
tasks = list(dict.fromkeys(curves.task))
figure, panels = plt.subplots(2, -(-len(tasks) // 2), figsize=(11, 5), layout="constrained")
for axes, task in zip(panels.flat, tasks, strict=False):
    for name, curve in curves[curves.task == task].groupby("arm", sort=False):
        axes.plot(curve.env_step, curve["mean"], label=name, lw=1.4)
        axes.fill_between(curve.env_step, curve.low, curve.high, alpha=0.2, lw=0)
    axes.set_title(task, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
for axes in panels.flat[len(tasks) :]:
    axes.set_visible(False)
figure.legend(*panels.flat[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)

# %% [markdown]
# ## Take it with you
#
# The drift is a pure function of the log-ratio, the advantage and the training progress, for anybody's PPO; or one
# line of a config: `--inner.rule PretrainedDrift --inner.rule.artifact zoo:lpo-small`.


# %%
@jax.jit
def policy_loss(log_ratio, advantage, progress):
    penalty = learned.drift(log_ratio, advantage, progress)
    return -jnp.mean(jnp.exp(log_ratio) * advantage - penalty)


policy_loss(jnp.linspace(-0.5, 0.5, 11), jnp.linspace(-1.0, 1.0, 11), jnp.float32(0.5))
