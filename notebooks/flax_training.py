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
# # A discovered optimizer in your flax training
#
# What heurax hands back is an optax transformation, so your training loop stays what it is: one line changes. Here an
# optimizer is meta-trained briefly on one kind of network, and then trains a flax model that it has not seen.

# %%
import tempfile
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax
from flax.training.train_state import TrainState
from rich.console import Console

import heurax
from heurax.config import find_config, read_config
from heurax.runs import TrainConfig, train
from heurax.tasks.datasets import digits

# %% [markdown]
# ## Where it comes from
#
# Any artifact will do: one that came with heurax, one that was imported from published weights, the end of a run of
# yours. This is the quick start's run, cut to less than a third, as on the command line
#
#     heurax train learned_optimizers/quickstart --run_dir runs/short --outer.num_steps 1500
#
# It meta-trains `AdafacMLP`, 197 numbers, on perceptrons that learn digits. A run directory is an artifact to `load`.

# %%
folder = Path(tempfile.mkdtemp())
overrides = ["--outer.num_steps", "1500", "--tensorboard", "false"]
config, resolved = read_config(TrainConfig, find_config("learned_optimizers/quickstart"), overrides)
summary = train(config, folder / "short", resolved, Console(quiet=True))
artifact = heurax.load(folder / "short")
print(artifact.rule)
print("outer steps:", summary.outer_steps)

# %% [markdown]
# ## Your training
#
# A perceptron in flax, four times as wide and of another activation, on the same digits, with flax's own `TrainState`.
# The one line is `tx=`: `num_steps` is the length of *your* run, for rules that have a schedule inside.

# %%
NUM_STEPS = 200
images, labels = (jnp.asarray(x["train"]) for x in (digits().inputs, digits().labels))
images = images.reshape(-1, 64)


model = nn.Sequential([nn.Dense(128), nn.tanh, nn.Dense(10)])


def training_losses(tx, seed=0):
    key_init, key_batches = jax.random.split(jax.random.key(seed))
    state = TrainState.create(apply_fn=model.apply, params=model.init(key_init, images[:1]), tx=tx)

    def step(state, key):
        index = jax.random.randint(key, (64,), 0, len(images))

        def loss_fn(params):
            logits = state.apply_fn(params, images[index])
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels[index]).mean()

        loss, grads = jax.value_and_grad(loss_fn)(state.params)
        return state.apply_gradients(grads=grads), loss

    return jax.lax.scan(step, state, jax.random.split(key_batches, NUM_STEPS))[1]


def curve(make, *arguments):
    """Mean training loss of four seeds."""
    run = jax.vmap(lambda seed: training_losses(make(*arguments), seed))
    return run(jnp.arange(4)).mean(0)


learned = jax.jit(lambda: curve(lambda: artifact.optimizer(num_steps=NUM_STEPS)))()
rates = jnp.geomspace(1e-3, 1e-1, 3)
adam = jax.jit(jax.vmap(lambda rate: curve(optax.adam, rate)))(rates)

# %%
figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
for rate, losses in zip(rates, adam, strict=True):
    axes.plot(losses, color="#edae49", lw=1, alpha=0.8)
    axes.annotate(f"{rate:.2g}", (NUM_STEPS, losses[-10:].mean()), color="#b07d1a", fontsize=8, va="center")
axes.plot([], color="#edae49", label="Adam, at three learning rates")
axes.plot(learned, color="#00798c", lw=2, label="learned, nothing tuned")
axes.set(xlabel="step", ylabel="training loss, mean of four seeds", yscale="log", title="a network it has not seen")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
print(f"learned: {learned[-10:].mean():.3f}")
for rate, losses in zip(rates, adam, strict=True):
    print(f"Adam, learning rate {rate:.2g}: {losses[-10:].mean():.3f}")

# %% [markdown]
# An optimizer that was meta-trained for a minute on one problem is a demonstration, not a tool: it knows perceptrons on
# digits, and on a convolutional net it fails. Compare with a tuned baseline before you believe one, as here and as
# `heurax evaluate` does with seeds and intervals; and meta-train on what you will use it for.
#
# ## What reads the loss
#
# VeLO, Celo, CeloAdam and RNNMLP read the training loss, which `TrainState` does not pass on. Then the update is
# written out, and `value=loss` costs nothing for the others:

# %%
optimizer = artifact.optimizer(num_steps=NUM_STEPS)


@jax.jit
def step(params, state, key):
    index = jax.random.randint(key, (64,), 0, len(images))

    def loss_fn(params):
        logits = model.apply(params, images[index])
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels[index]).mean()

    loss, grads = jax.value_and_grad(loss_fn)(params)
    updates, state = optimizer.update(grads, state, params, value=loss)
    return optax.apply_updates(params, updates), state, loss


params = model.init(jax.random.key(0), images[:1])
params, state, loss = step(params, optimizer.init(params), jax.random.key(1))

# %% [markdown]
# ## Everything of optax around it
#
# Clipping before, decay after, other optimizers for some of the tensors. What a learned optimizer returns is *added* to
# the parameters, so what stands behind it in a chain sees a step and not a gradient.

# %%
chained = optax.chain(
    optax.clip_by_global_norm(1.0),
    optimizer,
    optax.add_decayed_weights(-1e-4),  # decoupled weight decay
)
head = {"params": {"layers_0": "learned", "layers_2": "adam"}}
grouped = optax.partition({"learned": optimizer, "adam": optax.adam(1e-3)}, head)
for tx in (chained, grouped, optax.MultiSteps(optimizer, every_k_schedule=2)):
    updates, _ = tx.update(params, tx.init(params), params)

# %% [markdown]
# Bfloat16, meshes, longer runs than it was trained for, many models at once: `docs/guides/learned-optimizers.md` has a
# recipe for each.
