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
# # Analysing a sweep
#
# Meta-training has settings of its own, and what works for one rule and problem need not for another. A sweep tries
# many of them; this is how to run one and how to read it. The one here is small: 36 runs that meta-train Adam's
# hyper-parameters on quadratics, all of them in one compiled program.

# %%
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console

import heurax
from heurax.analysis import importance_figure, load_sweep, parallel_figure, response_figure, trials_figure
from heurax.config import read_config
from heurax.sweeps import SweepConfig, run_sweep

folder = Path(tempfile.mkdtemp())
# %matplotlib inline

# %% [markdown]
# ## Running it
#
# A sweep has a base config, the fields that are searched, by their dotted names, and seeds. On the command line this is
# `heurax sweep sweep.yaml`. With `together`, trials that differ in nothing but the seed, the outer learning rate and
# `sigma` run as one vmapped program.

# %%
(folder / "base.yaml").write_text("""
inner:
  class_path: SupervisedTraining
  init_args:
    rule: {class_path: LearnableAdam, init_args: {learning_rate: 0.001}}
    task: {class_path: Quadratic, init_args: {dimension: 10}}
    num_steps: 40
outer:
  class_path: Descent
  init_args:
    estimator: {class_path: PersistentES, init_args: {num_tasks: 8, window: 10, sigma: 0.03}}
    optimizer: {warmup_steps: 0}
    num_steps: 150
steps_per_dispatch: 10
checkpoint_every: 150
tensorboard: false
""")
(folder / "sweep.yaml").write_text(f"""
base: {folder / "base.yaml"}
search:
  class_path: Grid
  init_args:
    space:
      outer.optimizer.learning_rate: [0.01, 0.03, 0.1, 0.3]
      outer.estimator.sigma: [0.003, 0.03, 0.3]
seeds: [0, 1, 2]
metric: {{name: meta_loss, goal: minimize, tail: 0.2}}
launcher: {{class_path: Local, init_args: {{together: 36}}}}
""")
config, text = read_config(SweepConfig, folder / "sweep.yaml")
result = run_sweep(config, text, folder / "sweep", Console(quiet=True))
print(sum(trial.status == "finished" for trial in result.table.trials), "trials finished")

# %% [markdown]
# The directory can be resumed: the same call runs what is missing and nothing twice. Every trial is a run directory
# like any other, with its config, its log and its artifact.
#
# ## Frames
#
# `load_sweep` gives two tidy frames, one row per trial and one row per logged step, also while the sweep is going on.

# %%
sweep = load_sweep(folder / "sweep")
sweep.ranked[["name", *sweep.table.fields, "seed", "metric"]].head().round(4)

# %% [markdown]
# Seeds tell how much of a difference is luck. Means and standard deviations over the three of every point:

# %%
rate, sigma = sweep.table.fields
points = sweep.trials.groupby([rate, sigma]).metric.agg(["mean", "std"]).round(3)
points.unstack(sigma)

# %% [markdown]
# ## Which setting matters
#
# How much of the differences each field accounts for, and how the result answers to it.

# %%
importance_figure(sweep.table.importance)

# %%
response_figure(sweep.trials, rate, "meta-loss")

# %%
response_figure(sweep.trials, sigma, "meta-loss")

# %% [markdown]
# One field at a time hides what two do together. Parallel coordinates show all of a trial, the best tenth in colour:

# %%
parallel_figure(sweep.trials, sweep.table.fields, "meta-loss")

# %% [markdown]
# ## Curves
#
# Whether a setting is slow or unstable, the last number does not say. The best point's curves, with a band over its
# seeds, before those of all others:

# %%
best = sweep.ranked.iloc[0]
trials_figure(sweep.metrics, best_point=int(best.point))

# %% [markdown]
# ## The winner
#
# Choose by the mean over seeds, not by the best trial, which is partly the luckiest. What it has found is an artifact:

# %%
point = sweep.trials.groupby("point").metric.mean().idxmin()
winner = sweep.trials[sweep.trials.point == point].iloc[0]
print(f"{rate} = {winner[rate]}, {sigma} = {winner[sigma]}")
found = {
    trial["name"]: float(np.exp(heurax.load(folder / "sweep" / "trials" / trial["name"]).theta["log_learning_rate"]))
    for _, trial in sweep.trials.iterrows()
}
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
for value, rows in sweep.trials.groupby(rate):
    axes.plot([found[name] for name in rows["name"]], rows.metric, "o", ms=4, label=f"outer learning rate {value}")
axes.set(xlabel="learning rate of Adam that was found", ylabel="meta-loss", xscale="log", yscale="log")
axes.legend(frameon=False, fontsize=8)
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# `heurax report runs/sweep` puts these figures and the table of trials on one page to be sent around. Larger searches
# (Optuna with pruning; Ray, Slurm, one GPU each): `docs/guides/sweeps.md`.
