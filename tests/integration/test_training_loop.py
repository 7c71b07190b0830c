"""An artifact in somebody else's training loop: flax, optax's wrappers, scan, vmap, bfloat16."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import heurax
from heurax import artifacts
from heurax.rules import AdafacMLP
from heurax.tasks import DATASETS

NUM_STEPS = 20


class Net(nn.Module):
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(16, dtype=self.dtype, param_dtype=self.dtype)(x))
        return nn.Dense(10, dtype=self.dtype, param_dtype=self.dtype)(x)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    rule = AdafacMLP(step_mult=0.1)
    path = tmp_path_factory.mktemp("artifacts") / "rule"
    # A fresh rule whose direction is the normalised momentum: it descends, as a trained one does.
    theta = jax.tree.map(jnp.zeros_like, rule.init(jax.random.key(0)))
    network = theta["network"]
    network["w0"] = network["w0"].at[2, 0].set(1.0).at[2, 1].set(-1.0)
    network["w1"] = network["w1"].at[0, 0].set(1.0).at[1, 1].set(1.0)
    network["w2"] = network["w2"].at[0, 0].set(1.0).at[1, 0].set(-1.0)
    artifacts.save(path, artifacts.Artifact(rule, theta))
    return path


@pytest.fixture(autouse=True)
def flax_is_not_strict():
    with jax.numpy_rank_promotion("allow"):
        yield


def fit(optimizer, dtype=jnp.float32, key=None):
    """Train a flax network in one jitted scan; first and last loss, and the final parameters."""
    key = jax.random.key(0) if key is None else key
    data = DATASETS["digits"]()
    x, y = jnp.asarray(data.inputs["train"][:128], dtype), jnp.asarray(data.labels["train"][:128])
    net = Net(dtype)
    params = net.init(key, x)["params"]

    def loss_fn(params):
        logits = net.apply({"params": params}, x).astype(jnp.float32)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def step(carry, _):
        params, state = carry
        loss, gradient = jax.value_and_grad(loss_fn)(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), loss

    (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), None, length=NUM_STEPS)
    return losses, params


def assert_learns(losses):
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.8 * losses[0], losses


def test_chained_with_clipping(path):
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), heurax.load(path).optimizer(num_steps=NUM_STEPS))
    losses, params = jax.jit(lambda: fit(optimizer))()
    assert_learns(losses)
    assert all(p.dtype == jnp.float32 for p in jax.tree.leaves(params))


def test_bfloat16(path):
    optimizer = heurax.load(path).optimizer(num_steps=NUM_STEPS)
    losses, params = jax.jit(lambda: fit(optimizer, jnp.bfloat16))()
    assert_learns(losses)
    assert all(p.dtype == jnp.bfloat16 for p in jax.tree.leaves(params))


def test_vmap_over_seeds(path):
    optimizer = heurax.load(path).optimizer(num_steps=NUM_STEPS)
    keys = jax.random.split(jax.random.key(0), 3)
    losses, _ = jax.jit(jax.vmap(lambda key: fit(optimizer, key=key)))(keys)
    for row in losses:
        assert_learns(row)
    alone, _ = jax.jit(lambda: fit(optimizer, key=keys[1]))()
    np.testing.assert_allclose(losses[1], alone, rtol=2e-3)


def test_multi_steps_averages_gradients(path):
    optimizer = heurax.load(path).optimizer(num_steps=NUM_STEPS)
    with jax.numpy_dtype_promotion("standard"):
        accumulated = optax.MultiSteps(optimizer, every_k_schedule=2).gradient_transformation()
        losses, _ = jax.jit(lambda: fit(accumulated))()
    plain, _ = jax.jit(lambda: fit(optimizer))()
    np.testing.assert_allclose(losses[::2], plain[: NUM_STEPS // 2], rtol=1e-3)  # full batches: the same gradient twice


def test_masked_leaves_the_rest_alone(path):
    optimizer = heurax.load(path).optimizer(num_steps=NUM_STEPS)

    def kernels(params):
        return jax.tree.map(lambda p: p.ndim > 1, params)

    def biases(params):
        return jax.tree.map(lambda p: p.ndim <= 1, params)

    masked = optax.chain(optax.masked(optimizer, kernels), optax.masked(optax.set_to_zero(), biases))
    losses, params = jax.jit(lambda: fit(masked))()
    assert_learns(losses)
    assert all(np.all(p == 0) for p in jax.tree.leaves(params) if p.ndim == 1)


def test_params_are_needed_and_said_to_be(path):
    optimizer = heurax.load(path).optimizer(num_steps=NUM_STEPS)
    params = {"w": jnp.ones(3)}
    with pytest.raises(ValueError, match=r"AdafacMLP reads the parameters: call update\(grads, state, params\)"):
        optimizer.update(params, optimizer.init(params))
