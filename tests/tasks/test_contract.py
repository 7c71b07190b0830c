"""One contract for every task family."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.rules import OptaxOptimizer
from heurax.tasks import ImageMLP, Quadratic, Reparameterized

FAMILIES = {
    "ImageMLP": ImageMLP(batch_size=32),
    "ImageMLP sampled": ImageMLP(width=(4, 16), depth=(1, 3), activations=("relu", "tanh", "gelu"), batch_size=32),
    "Quadratic": Quadratic(noise=0.1),
    "Reparameterized global": Reparameterized(ImageMLP(batch_size=32), "global"),
    "Reparameterized tensor": Reparameterized(ImageMLP(batch_size=32), "tensor"),
    "Reparameterized parameter": Reparameterized(ImageMLP(batch_size=32), "parameter"),
}

ADAM = OptaxOptimizer("adam", 3e-2)

pytestmark = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def run(family, key, num_steps=30):
    key_task, key_init, key_batches = jax.random.split(key, 3)
    task = family.sample(key_task)
    optimizer = ADAM.optimizer(ADAM.init(key), num_steps)
    params = family.init(task, key_init)

    def step(carry, key):
        params, state = carry
        loss, gradient = jax.value_and_grad(family.loss, argnums=1)(task, params, family.batch(task, key))
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), (loss, optax.tree.norm(gradient))

    keys = jax.random.split(key_batches, num_steps)
    (params, _), (losses, norms) = jax.lax.scan(step, (params, optimizer.init(params)), keys)
    finals = [family.loss(task, params, family.evaluation_batch(task, s)) for s in ("train", "validation", "test")]
    return losses, norms, jnp.stack(finals)


def test_divergence_is_least_at_the_target(family):
    """Zero there, as is its slope, and above zero elsewhere."""
    keys = jax.random.split(jax.random.key(1), 4)
    task = family.sample(keys[0])
    target, other = family.init(task, keys[1]), family.init(task, keys[2])
    batch = family.batch(task, keys[3])
    divergence = jax.jit(jax.value_and_grad(lambda params: family.divergence(task, target, params, batch)))
    (here, slope), (there, _) = divergence(target), divergence(other)
    assert here.dtype == jnp.float32
    np.testing.assert_allclose([here, optax.tree.norm(slope)], 0, atol=1e-6)
    assert there > 0.01


def test_loss_falls_under_adam_deterministically_and_vmapped(family):
    keys = jax.random.split(jax.random.key(0), 4)
    together = jax.jit(jax.vmap(lambda key: run(family, key)))
    losses, norms, finals = together(keys)
    assert losses.dtype == jnp.float32
    assert np.isfinite(losses).all()
    assert np.isfinite(norms).all()
    assert np.isfinite(finals).all()
    assert losses[:, -5:].mean() < 0.8 * losses[:, :5].mean()
    chex.assert_trees_all_equal(together(keys), (losses, norms, finals))
    alone = jax.jit(lambda key: run(family, key))(keys[2])
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[2], (losses, norms, finals)), alone, rtol=2e-3, atol=1e-4)
