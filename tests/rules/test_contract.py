"""One contract for every learned optimizer (DESIGN.md's interface; what an optax citizen owes)."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax import artifacts
from heurax.rules import RULES, LearnedOptimizer

OPTIMIZERS = {name: rule() for name, rule in RULES.items() if issubclass(rule, LearnedOptimizer)}
NUM_STEPS = 10

pytestmark = pytest.mark.parametrize("rule", OPTIMIZERS.values(), ids=OPTIMIZERS)


def make_params(dtype=jnp.float32):
    """A tree with a matrix, a vector, a scalar, a 4-d kernel, an empty container and a None."""
    keys = jax.random.split(jax.random.key(1), 4)
    return {
        "matrix": jax.random.normal(keys[0], (5, 3)).astype(dtype),
        "vector": jax.random.normal(keys[1], (4,)).astype(dtype),
        "scalar": jax.random.normal(keys[2], ()).astype(dtype),
        "kernel": jax.random.normal(keys[3], (2, 3, 4, 2)).astype(dtype),
        "empty": {},
        "none": None,
    }


def loss_fn(params):
    return sum(jnp.sum((leaf.astype(jnp.float32) - 0.5) ** 2) for leaf in jax.tree.leaves(params))


def train(optimizer, params, num_steps, state=None):
    state = optimizer.init(params) if state is None else state

    def step(carry, _):
        params, state = carry
        value, gradient = jax.value_and_grad(loss_fn)(params)
        updates, state = optimizer.update(gradient, state, params, value=value)
        return (optax.apply_updates(params, updates), state), value

    (params, state), losses = jax.lax.scan(step, (params, state), None, length=num_steps)
    return params, state, losses


def test_rule_is_hashable_and_init_is_deterministic(rule):
    assert hash(rule) == hash(type(rule)())
    chex.assert_trees_all_equal(rule.init(jax.random.key(0)), rule.init(jax.random.key(0)))


def test_state_is_a_fixed_point_and_updates_keep_dtypes(rule):
    for dtype in (jnp.float32, jnp.bfloat16):
        params = make_params(dtype)
        optimizer = rule.optimizer(rule.init(jax.random.key(0)), NUM_STEPS)
        state = optimizer.init(params)
        update = functools.partial(optimizer.update, value=jnp.float32(1))
        updates, new_state = jax.eval_shape(update, params, state, params)
        chex.assert_trees_all_equal_shapes_and_dtypes(updates, params)
        chex.assert_trees_all_equal_shapes_and_dtypes(new_state, state)
        floats = [x for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.floating)]
        assert all(x.dtype == jnp.float32 for x in floats), "accumulators live in float32"


def test_jit_equals_eager_and_scan_continues(rule):
    params = make_params()
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), NUM_STEPS)
    whole, _, _ = jax.jit(lambda p: train(optimizer, p, 4))(params)
    half, state, _ = train(optimizer, params, 2)
    both, _, _ = train(optimizer, half, 2, state)
    chex.assert_trees_all_close(whole, both, rtol=1e-5, atol=1e-7)
    small = {"matrix": params["matrix"], "vector": params["vector"]}
    state = optimizer.init(small)
    eager = optimizer.update(small, state, small, value=jnp.float32(1))
    compiled = jax.jit(lambda p, s: optimizer.update(p, s, p, value=jnp.float32(1)))(small, state)
    chex.assert_trees_all_close(eager, compiled, rtol=1e-5, atol=1e-7)


def test_vmap_over_theta_equals_a_loop(rule):
    params = make_params()
    theta = rule.init(jax.random.key(0))
    thetas = jax.tree.map(lambda x: jnp.stack([x, x * 1.01]), theta)

    def run(theta):
        return train(rule.optimizer(theta, NUM_STEPS), params, 2)[0]

    together = jax.jit(jax.vmap(run))(thetas)
    for index in range(2):
        alone = jax.jit(run)(jax.tree.map(lambda x: x[index], thetas))  # noqa: B023 # called at once
        chex.assert_trees_all_close(jax.tree.map(lambda x: x[index], together), alone, rtol=1e-4, atol=1e-6)  # noqa: B023


def test_second_call_does_not_compile(rule):
    params = make_params()
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), NUM_STEPS)
    update = jax.jit(lambda g, s, p: optimizer.update(g, s, p, value=jnp.float32(1)))
    state = optimizer.init(params)
    for _ in range(3):
        _, state = update(params, state, params)
    assert update._cache_size() == 1


def test_meta_gradient_is_finite_and_not_zero(rule):
    params = make_params()

    def meta_loss(theta):
        return train(rule.optimizer(theta, NUM_STEPS), params, 5)[2][-1]

    gradient = jax.jit(jax.grad(meta_loss))(rule.init(jax.random.key(0)))
    norms = [float(jnp.linalg.norm(jnp.ravel(g))) for g in jax.tree.leaves(gradient)]
    assert np.isfinite(norms).all()
    assert max(norms) > 0


def test_artifact_round_trip_continues_bit_for_bit(rule, tmp_path):
    theta = rule.init(jax.random.key(3))
    artifacts.save(tmp_path / "rule", artifacts.Artifact(rule, theta))
    loaded = artifacts.load(tmp_path / "rule")
    assert loaded.rule == rule
    chex.assert_trees_all_equal(loaded.theta, theta)
    params = make_params()
    ours, _, _ = train(rule.optimizer(theta, NUM_STEPS), params, 2)
    theirs, _, _ = train(loaded.optimizer(NUM_STEPS), params, 2)
    chex.assert_trees_all_equal(ours, theirs)
