"""One contract for every task family."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from families import FAMILIES, check_shapes
from golden import QUICK
from heurax.rules import OptaxOptimizer
from heurax.tasks import TASKS, BFloat16

WITHOUT_DIVERGENCE = {"OwnTask", "RuleTraining", "VariationalAutoEncoder"}
CHANGE_GRADIENTS_ALONE = {
    "DelayedGradient",
    "LabelNoise",
    "NormalizedGradient",
    "RandomDirectionGradient",
    "ReducedBatch",
}

ADAM = OptaxOptimizer("adam", 3e-2, {"eps": 1e-4})  # a smaller one makes steps out of the rounding of zero gradients

every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


def run(family, key, num_steps=30):
    """Training: losses and lengths of gradients on the way, and losses on the evaluation batch before and after."""
    key_task, key_init, key_memory, key_batches = jax.random.split(key, 4)
    task = family.sample(key_task)
    optimizer = ADAM.optimizer(ADAM.init(key), num_steps)
    fresh = family.init(task, key_init)

    def step(carry, key):
        params, state, memory = carry
        loss, gradient, memory = family.loss_and_gradient(task, params, family.batch(task, key), memory)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state, memory), (loss, optax.tree.norm(gradient))

    keys = jax.random.split(key_batches, num_steps)
    start = (fresh, optimizer.init(fresh), family.init_memory(task, fresh, key_memory))
    (params, _, _), (losses, norms) = jax.lax.scan(step, start, keys)
    both = jax.tree.map(lambda *x: jnp.stack(x), fresh, params)
    batch = family.evaluation_batch(task, "validation")
    return losses, norms, jax.vmap(lambda params: family.loss(task, params, batch))(both)


def test_every_family_is_here():
    assert {type(family).__name__ for family in FAMILIES.values()} == {*TASKS, "OwnTask"}


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in WITHOUT_DIVERGENCE | CHANGE_GRADIENTS_ALONE])
def test_divergence_is_least_at_the_target(name):
    """Zero there, as is its slope, and above zero elsewhere."""
    family = FAMILIES[name]
    keys = jax.random.split(jax.random.key(1), 4)
    task = family.sample(keys[0])
    target, other = family.init(task, keys[1]), family.init(task, keys[2])
    batch = family.batch(task, keys[3])
    divergence = jax.jit(
        jax.value_and_grad(lambda params: family.divergence(task, target, params, batch)), compiler_options=QUICK
    )
    (here, slope), (there, _) = divergence(target), divergence(other)
    assert here.dtype == jnp.float32
    tolerance = {"BFloat16": 1e-2, "TransformerLanguageModel": 1e-5}  # fewer digits; long sums, whose rounding adds up
    np.testing.assert_allclose([here, optax.tree.norm(slope)], 0, atol=tolerance.get(name, 1e-6))
    assert there > 1e-4


@pytest.mark.parametrize("name", [name for name in FAMILIES if "Gradient" not in name])
def test_bfloat16_goes_around_every_family(name):
    check_shapes(BFloat16(FAMILIES[name]))


@every_family
def test_loss_falls_under_adam_the_same_on_one_device_and_on_four(family):
    """vmap over instances on one device, one instance on each of four, and once again from the same keys."""
    keys = jax.random.split(jax.random.key(0), 4)
    together = jax.jit(jax.vmap(lambda key: run(family, key)), compiler_options=QUICK)
    results = together(keys)
    assert {values.dtype for values in results} == {jnp.dtype("float32")}
    for values in results:
        assert np.isfinite(values).all()
    before, after = results[2].mean(axis=0)
    assert after < before - 0.04 * abs(before)  # the slowest, with several augmentations at once, falls by 4.5%
    chex.assert_trees_all_equal(together(keys), results)

    mesh = jax.make_mesh((4,), ("lifetimes",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.sharding.PartitionSpec("lifetimes")
    alone = lambda keys: jax.tree.map(lambda x: x[None], run(family, keys[0]))  # noqa: E731
    on_four = jax.shard_map(alone, mesh=mesh, in_specs=spread, out_specs=spread, check_vma=False)
    rtol = 2e-3 if not isinstance(family, BFloat16) else 2e-2  # of 8 bits
    spread_out = jax.jit(on_four, compiler_options=QUICK)(keys)
    for ours, theirs in zip(results[:2], spread_out[:2], strict=True):
        np.testing.assert_allclose(ours[:, :15], theirs[:, :15], rtol=rtol, atol=1e-4)  # later, rounding is magnified
