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
# # A rule of your own in 40 lines
#
# A rule is a frozen dataclass that draws its meta-parameters and says what they mean. Here is a learned optimizer that
# is in no registry: a network with eight hidden units that looks at the gradient and at its average, for every
# parameter. We write it, meta-train it on quadratics, read what it has learned, compare it with a tuned Adam, and save
# it, in about a minute.

# %%
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import heurax
from heurax.artifacts import save
from heurax.inner import SupervisedTraining, train
from heurax.outer import Descent, OuterOptimizer, PersistentES
from heurax.rules import RULES, LearnedOptimizer, OptaxOptimizer
from heurax.tasks import Quadratic

# %% [markdown]
# ## The rule
#
# With a gradient `g`, its moving average `m`, and both divided by the root mean square of the tensor's gradient,
#
#     delta = -exp(log_rate) * (m + w . tanh(W (g, m)))
#
# `theta` holds everything that is learned: the network, the rate, and how slow the average is. `optimizer` maps it to
# an optax transformation, and that is all that the rest of heurax ever asks of a learned optimizer. As the output
# layer starts at zero, a fresh rule is momentum with normalised gradients.


# %%
class TinyState(NamedTuple):
    average: Any


@dataclass(frozen=True)
class TinyOptimizer(LearnedOptimizer):
    """Momentum, corrected by a network of `hidden_size` units."""

    hidden_size: int = 8

    def init(self, key):
        return {
            "hidden": jax.random.normal(key, (2, self.hidden_size), jnp.float32),
            "output": jnp.zeros((self.hidden_size,), jnp.float32),
            "log_rate": jnp.log(jnp.float32(0.01)),
            "decay_logit": jnp.float32(2.0),
        }

    def optimizer(self, theta, num_steps):
        del num_steps  # unused: it does not know how long training will be
        decay = jax.nn.sigmoid(theta["decay_logit"])

        def init(params):
            return TinyState(jax.tree.map(jnp.zeros_like, params))

        def delta(gradient, average):
            inputs = jnp.stack([gradient, average], axis=-1) * jax.lax.rsqrt(jnp.mean(gradient**2) + 1e-12)
            correction = jnp.tanh(inputs @ theta["hidden"]) @ theta["output"]
            return -jnp.exp(theta["log_rate"]) * (inputs[..., 1] + correction)

        def update(gradients, state, params=None, **extra_args):
            del params, extra_args  # unused: this rule reads gradients alone
            average = jax.tree.map(lambda m, g: decay * m + (1 - decay) * g, state.average, gradients)
            return jax.tree.map(delta, gradients, average), TinyState(average)

        return optax.GradientTransformationExtraArgs(init, update)


rule = TinyOptimizer()
theta = rule.init(jax.random.key(0))
print(sum(leaf.size for leaf in jax.tree.leaves(theta)), "meta-parameters")

# %% [markdown]
# ## Meta-training
#
# Nothing here knows what is inside the rule. A lifetime is forty steps on a random quadratic; persistent evolution
# strategies run 32 pairs of them side by side, ten steps per outer step. A thousand outer steps are one `scan`.

# %%
inner = SupervisedTraining(rule, Quadratic(dimension=10), num_steps=40)
outer = Descent(PersistentES(num_tasks=32, window=10, sigma=0.05), OuterOptimizer(learning_rate=0.03), num_steps=1000)


@jax.jit
def meta_train(key):
    state = outer.init(inner, key)
    state, metrics = jax.lax.scan(lambda state, _: outer.step(inner, state), state, length=outer.num_steps)
    return state.theta, metrics["meta_loss"]


trained, meta_loss = meta_train(jax.random.key(1))

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(meta_loss, ".", color="0.8", ms=2)
axes.plot(np.convolve(meta_loss, np.ones(50) / 50, "valid"), color="#00798c", label="mean of 50 steps")
axes.set(xlabel="outer step", ylabel="loss over a window", yscale="log")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## What it has learned
#
# The step it takes, over the gradient, for three values of the average. A step of momentum would be flat: it depends on
# the average alone.

# %%
print(f"rate {jnp.exp(trained['log_rate']):.3f}, decay of the average {jax.nn.sigmoid(trained['decay_logit']):.2f}")
gradients = jnp.linspace(-3, 3, 101)
figure, panels = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for axes, (title, values) in zip(panels, {"fresh": theta, "meta-trained": trained}.items(), strict=True):
    for average, colour in ((-1.0, "#d1495b"), (0.0, "0.5"), (1.0, "#00798c")):
        inputs = jnp.stack([gradients, jnp.full_like(gradients, average)], -1)
        step = -jnp.exp(values["log_rate"]) * (average + jnp.tanh(inputs @ values["hidden"]) @ values["output"])
        axes.plot(gradients, step / jnp.exp(values["log_rate"]), color=colour, label=f"average {average:+.0f}")
    axes.set(xlabel="normalised gradient", title=title)
    axes.spines[["top", "right"]].set_visible(False)
panels[0].set_ylabel("step / rate")
panels[0].legend(frameon=False)

# %% [markdown]
# ## Against a tuned Adam
#
# Optimizers of optax are rules too, so the same function runs them. Adam gets the best of ten learning rates, chosen on
# the very problems on which both are compared: the comparison favours it.

# %%
keys = jax.random.split(jax.random.key(2), 64)


def losses(rule, theta):
    inner = SupervisedTraining(rule, Quadratic(dimension=10), num_steps=40)
    return jax.vmap(lambda key: train(inner, theta, key).loss)(keys)


adam = OptaxOptimizer("adam")
rates = jnp.geomspace(1e-3, 3.0, 10)
sweep = jax.jit(jax.vmap(lambda rate: losses(adam, jax.tree.map(lambda _: jnp.log(rate), adam.init(keys[0])))))(rates)
best = int(jnp.argmin(sweep.mean((1, 2))))
curves = {
    "TinyOptimizer, meta-trained": jax.jit(lambda: losses(rule, trained))(),
    "TinyOptimizer, fresh": jax.jit(lambda: losses(rule, theta))(),
    f"Adam, learning rate {rates[best]:.2g}": sweep[best],
}
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for (name, curve), colour in zip(curves.items(), ("#00798c", "0.6", "#edae49"), strict=True):
    axes.plot(jnp.exp(jnp.log(curve).mean(0)), color=colour, label=name)
axes.set(xlabel="step", ylabel="loss, geometric mean of 64", yscale="log")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
for name, curve in curves.items():
    print(f"{name}: mean loss over a lifetime {curve.mean():.3f}")

# %% [markdown]
# It is trained to have a low mean loss over a lifetime, and that is what it has: the loss falls much faster, and then
# stands, because steps of normalised gradients cannot become small. What to change is clear, and a line each: a
# schedule, for which `num_steps` is there; or `PersistentES(objective="final")`, which asks for the loss at the end.
#
# ## Keeping it
#
# An artifact names its rule, and loading looks the name up in a fixed table, so that a downloaded file cannot run code.
# A rule of yours enters that table in your own code. Then it is an optax transformation like any other.

# %%
RULES["TinyOptimizer"] = TinyOptimizer
with tempfile.TemporaryDirectory() as folder:
    save(Path(folder) / "tiny", heurax.Artifact(rule, trained, {"trained_on": "quadratics of ten dimensions"}))
    loaded = heurax.load(Path(folder) / "tiny")
optimizer = optax.chain(optax.clip_by_global_norm(1.0), loaded.optimizer(num_steps=40))
params = {"w": jnp.ones(3)}
updates, _ = optimizer.update({"w": jnp.array([1.0, -1.0, 0.0])}, optimizer.init(params), params)
print(updates)

# %% [markdown]
# A rule that is to stay goes into a file of its own under `heurax/rules/`, and into the table of its package: then
# configs can name it, `heurax list` shows it, it has a page in the documentation, and `pytest
# tests/rules/optimizers/test_contract.py` holds it to what optax expects of a transformation.
