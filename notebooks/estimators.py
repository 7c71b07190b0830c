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
# # Estimators compared
#
# Which way should the meta-parameters move? Every estimator answers from lifetimes, and no two answers are alike. Some
# are wrong and steady, some right and noisy. Which of the two is worse depends on the problem, and here are two
# problems that disagree.
#
# The first figures read `results/estimators/`, which `python -m benchmarks.estimators` measures. At the end one of its
# comparisons runs live, in seconds.

# %%
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from heurax.inner import InfluenceBalancing
from heurax.outer import Descent, FullES, NoiseReuseES, OuterOptimizer, PersistentES, TruncatedES

folder = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "results" / "estimators").is_dir())
record = json.loads((folder / "results" / "estimators" / "estimators.json").read_text())
problems = record["problems"]
looks = {
    "learned_optimizer": ("an MLP optimizer on noisy quadratics", "#00798c", "o"),
    "influence_balancing": ("influence balancing, one meta-parameter", "#d1495b", "D"),
}

# %% [markdown]
# ## Right or steady
#
# *Bias*: what part of the exact gradient the mean estimate has too much or too little of. At 0 it is unbiased, at -1
# nothing of the gradient is left, and below -1 the estimate points the other way. *Noise*: inner steps until the signal
# is as large as the noise.

# %%
names = sorted(problems["learned_optimizer"], key=lambda name: problems["learned_optimizer"][name]["bias"])
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), sharey=True, layout="constrained")
left.axvspan(-1.2, -1, color="0.93", lw=0)
left.axvline(0, color="0.8", lw=1)
for problem, (title, colour, marker) in looks.items():
    rows = problems[problem]
    left.plot([rows[name]["bias"] for name in names], names, marker, color=colour, label=title)
    right.plot([max(rows[name]["cost"], 1e-3) for name in names], names, marker, color=colour)
left.set(xlabel="bias (grey: points the wrong way)", xlim=(-1.2, 1.1))
right.set(xlabel="noise (inner steps; at the left edge: less)", xscale="log")
figure.legend(loc="outside upper center", ncols=2, frameon=False)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.93")

# %% [markdown]
# Those at the bottom see one window and forget what came before. On the first problem they keep the direction of the
# gradient and lose most of its length, but their noise is far smaller: the axis is logarithmic. On the second problem
# they point backwards.
# `GuidedES` is right of 0 on the second, because it does not estimate a length at all.
#
# ## What it means for meta-training
#
# The meta-loss, over what every estimator may spend: the same number of inner steps.

# %%
shown = {
    "TruncatedGradient": "#d1495b",
    "TruncatedES": "#edae49",
    "PersistentES": "#00798c",
    "FullGradient": "#30638e",
    "FullES": "#9a8fbf",
}
figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for axes, (problem, (title, _, _)) in zip(panels, looks.items(), strict=True):
    for name, colour in shown.items():
        row = problems[problem][name]
        steps, curves = np.array(row["curve_inner_steps"]) / 1000, np.array(row["curves"])
        axes.plot(steps, np.exp(np.log(curves).mean(0)), color=colour, label=name)
        axes.fill_between(steps, curves.min(0), curves.max(0), color=colour, alpha=0.15, lw=0)
    axes.set(xlabel="thousands of inner steps", yscale="log", title=title)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].axhline(record["references"]["learned_optimizer"]["Adam, tuned"], color="0.6", ls=":", lw=1)
panels[0].set_ylabel("meta-loss: three seeds and their mean")
panels[0].legend(frameon=False, fontsize=8)

# %% [markdown]
# Left, the short-sighted are the fastest, far below a tuned Adam (dotted). Right, they walk away from the optimum, with
# great certainty. This is why a result of a biased estimator is checked with an unbiased one, and why the default is
# `PersistentES`.
#
# | estimator | use it when |
# |---|---|
# | `TruncatedGradient` | losses are smooth and being greedy does little harm: first, for learned optimizers |
# | `PersistentES`, `NoiseReuseES` | lifetimes are long, chaotic or not differentiable: the default |
# | `FullGradient` | lifetimes are short and smooth; the yardstick |
# | `FullES` | nothing can be differentiated and only the end of a lifetime counts |
#
# `docs/guides/outer-loop.md` has the whole table.
#
# ## Live
#
# Influence balancing is a linear system that one number `theta` pushes. Its early influence on the loss has one sign,
# its late one the other, and more weight. Four evolutionary estimators begin at the same `theta`, with the same noise,
# inner steps and optimizer.

# %%
inner = InfluenceBalancing(num_steps=100)
estimators = {
    "TruncatedES": TruncatedES(num_tasks=20, window=5, sigma=0.1),
    "PersistentES": PersistentES(num_tasks=20, window=5, sigma=0.1),
    "NoiseReuseES": NoiseReuseES(num_tasks=20, window=5, sigma=0.1),
    "FullES": FullES(num_tasks=1, sigma=0.1),
}
paths = {}
for name, estimator in estimators.items():
    outer = Descent(estimator, OuterOptimizer("adam", 0.01, warmup_steps=0, schedule="constant"), num_steps=400)

    @jax.jit
    def run(key, outer=outer):
        state = outer.init(inner, key)
        return jax.lax.scan(lambda s, _: (outer.step(inner, s)[0], s.theta), state, length=outer.num_steps)[1]

    paths[name] = run(jax.random.key(0))


@jax.jit
@jax.vmap
def mean_loss(theta):
    state = inner.init(theta, jax.random.key(0))
    return jax.lax.scan(lambda s, _: inner.step(theta, s, jax.random.key(0)), state, length=100)[1].loss.mean()


thetas = jnp.linspace(-0.5, 1.5, 201)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
left.plot(thetas, mean_loss(thetas), color="0.3")
left.plot(0.5, mean_loss(jnp.array([0.5]))[0], "o", color="#d1495b")
left.set(xlabel="theta", ylabel="mean loss of a lifetime", title="the landscape, and where all begin")
colours = {"TruncatedES": "#edae49", "PersistentES": "#00798c", "NoiseReuseES": "#66a182", "FullES": "#9a8fbf"}
for name, path in paths.items():
    right.plot(path, color=colours[name], label=name)
right.axhline(thetas[jnp.argmin(mean_loss(thetas))], color="0.6", ls=":", lw=1)
right.set(xlabel="outer step", ylabel="theta (dotted: the best)")
right.legend(frameon=False)
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
pd.Series({name: float(mean_loss(path[-1:])[0]) for name, path in paths.items()}, name="loss at the end").round(3)

# %% [markdown]
# `FullES` with one pair of whole lifetimes costs as many inner steps per outer step as the others with twenty pairs of
# windows. An estimator of your own is a frozen dataclass with `init` and `estimate`, and can be set beside these by
# adding it to the dictionary above.
