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
# # Meta-train your first learned optimizer
#
# The pieces behind `heurax train`: a rule, an inner loop that uses it, an estimator of the meta-gradient, an outer loop
# that descends it. Everything is a frozen dataclass; every function is pure. Here they meta-train four numbers, the
# hyper-parameters of Adam, by three estimators, in under a minute.

# %%
import dataclasses

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

from heurax.inner import SupervisedTraining
from heurax.outer import Descent, FullES, OuterOptimizer, PersistentES, TruncatedGradient
from heurax.rules import LearnableAdam
from heurax.tasks import Quadratic

# %% [markdown]
# ## One lifetime
#
# An inner loop is `init` and `step`, written for one lifetime. You scan it, vmap it, differentiate it.

# %%
rule = LearnableAdam(learning_rate=1e-3)
inner = SupervisedTraining(rule, Quadratic(dimension=10), num_steps=50)


@jax.jit
def lifetime(theta, key):
    key_init, key_steps = jax.random.split(key)
    state = inner.init(theta, key_init)
    _, results = jax.lax.scan(lambda s, k: inner.step(theta, s, k), state, jax.random.split(key_steps, inner.num_steps))
    return results.loss


theta = rule.init(jax.random.key(0))
keys = jax.random.split(jax.random.key(1), 16)
before = jax.vmap(lifetime, (None, 0))(theta, keys)
print(f"mean loss over a lifetime with Adam(1e-3): {before.mean():.3f}")

# %% [markdown]
# ## The outer loop
#
# An estimator needs nothing but an inner loop. Changing how a rule improves is changing one argument.

# %%
estimators = {
    "PersistentES": PersistentES(num_tasks=16, window=10, sigma=0.03),
    "FullES": FullES(num_tasks=16, sigma=0.03),
    "TruncatedGradient": TruncatedGradient(num_tasks=16, window=50),
}


@jax.jit
def meta_train(key):
    results = {}
    for name, estimator in estimators.items():
        outer = Descent(estimator, OuterOptimizer(learning_rate=0.1, warmup_steps=10), num_steps=200)
        state = outer.init(inner, key)
        state, metrics = jax.lax.scan(lambda s, _, outer=outer: outer.step(inner, s), state, None, length=200)
        results[name] = state.theta, metrics["meta_loss"]
    return results


results = meta_train(jax.random.key(2))

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
after = {name: jax.vmap(lifetime, (None, 0))(trained, keys) for name, (trained, _) in results.items()}
for name, (trained, meta_losses) in results.items():
    left.plot(meta_losses, label=name)
    rate = float(jnp.exp(trained["log_learning_rate"]))
    right.plot(after[name].mean(0), label=f"{name}: learning rate {rate:.2f}")
right.plot(before.mean(0), color="grey", label="start: learning rate 0.001")
left.set(xlabel="outer step", ylabel="meta-loss", title="Meta-training")
right.set(xlabel="inner step", ylabel="loss", yscale="log", title="A lifetime, before and after")
for axes in (left, right):
    axes.legend(frameon=False)
plt.show()

# %%
for name, losses in after.items():
    print(f"{name}: mean loss over a lifetime {losses.mean():.3f}")
    assert losses.mean() < 0.5 * before.mean(), name

# %% [markdown]
# ## Everything is data
#
# Descriptions can be changed with `dataclasses.replace`, compared, hashed, printed, and written to a config.

# %%
print(dataclasses.replace(estimators["PersistentES"], sigma=0.1))
