"""What every learned optimizer owes an inner loop, over all rules: shapes and dtypes kept, one program, gradients."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from golden import QUICK
from heurax import artifacts
from heurax.rules import RULES, LearnedOptimizer
from heurax.rules import optimizers as family

SMALL = {
    "Celo": {"lstm_hidden_size": 8, "param_inits": 2},
    "CeloAdam": {"lstm_hidden_size": 8},
    "MuP": {"classes": {".": "hidden"}},
    "NNAdam": {"lstm_hidden_size": 8},
    "RNNMLP": {"hidden_size": 8, "lstm_hidden_size": 8},
    "VeLO": {"lstm_hidden_size": 8, "param_inits": 3},
}
OPTIMIZERS = {name: rule(**SMALL.get(name, {})) for name, rule in RULES.items() if issubclass(rule, LearnedOptimizer)}
every_rule = pytest.mark.parametrize("name", OPTIMIZERS)
HORIZON = 100
LOSSES = np.array([3.0, 1.0, 2.0, 0.5], np.float32)
"""Losses that rules are told. The true ones hardly move in so few updates: loss features would be mostly rounding."""


def theta_of(rule, seed=0):
    """Random meta-parameters, none of them exactly 0."""
    key_init, key_noise = jax.random.split(jax.random.key(seed))
    theta = rule.init(key_init)
    leaves, treedef = jax.tree.flatten(theta)
    keys = jax.random.split(key_noise, len(leaves))
    return treedef.unflatten(
        [x + 0.01 * jax.random.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
    )


def make_params(dtype=jnp.float32):
    """Every rank from 0 to 4, an axis of length 1, `None` and an empty container."""
    shapes = {"scalar": (), "vector": (5,), "matrix": (4, 3), "row": (1, 6), "kernel": (2, 2, 3, 4)}
    keys = jax.random.split(jax.random.key(1), len(shapes))
    tree = {name: jax.random.normal(key, shape, dtype) for key, (name, shape) in zip(keys, shapes.items(), strict=True)}
    return {"layers": [tree, None], "empty": {}}


def unroll(optimizer, params):
    """Minimise the sum of squares; returns (params, state)."""

    def step(carry, value):
        params, state = carry
        updates, state = optimizer.update(params, state, params, value=value)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), jnp.asarray(LOSSES))[0]


def loss(params):
    return sum(jnp.sum(jnp.square(x.astype(jnp.float32))) for x in jax.tree.leaves(params))


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6), ours, theirs)


@every_rule
def test_the_table_has_every_rule(name):
    assert getattr(family, name) is RULES[name]


@every_rule
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_state_is_a_fixed_point_and_updates_keep_dtypes(name, dtype):
    rule, params = OPTIMIZERS[name], make_params(dtype)
    optimizer = rule.optimizer(theta_of(rule), HORIZON)
    state = jax.eval_shape(optimizer.init, params)
    updates, next_state = jax.eval_shape(lambda p, s: optimizer.update(p, s, p, value=jnp.float32(1.0)), params, state)
    describe = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype, getattr(x, "weak_type", False)), tree)  # noqa: E731
    assert describe(next_state) == describe(state)
    assert describe(updates) == describe(jax.eval_shape(lambda p: p, params))
    assert all(x.dtype != jnp.bfloat16 for x in jax.tree.leaves(state))
    assert not any(x.weak_type for x in jax.tree.leaves(state))


@every_rule
def test_jit_equals_eager_and_compiles_once(name):
    rule, params = OPTIMIZERS[name], {"matrix": make_params()["layers"][0]["matrix"]}
    optimizer = rule.optimizer(theta_of(rule), HORIZON)
    update = jax.jit(optimizer.update)
    eager_state = jit_state = optimizer.init(params)
    for value in jnp.asarray(LOSSES[:2]):
        eager, eager_state = optimizer.update(params, eager_state, params, value=value)
        jitted, jit_state = update(params, jit_state, params, value=value)
        assert_close(jitted, eager)
    assert update._cache_size() == 1


@every_rule
def test_vmap_over_theta_equals_a_loop(name):
    rule, params = OPTIMIZERS[name], {"matrix": make_params()["layers"][0]["matrix"]}
    thetas = [theta_of(rule, seed) for seed in range(2)]
    run = jax.jit(lambda theta: unroll(rule.optimizer(theta, HORIZON), params)[0])
    stacked = jax.vmap(run)(jax.tree.map(lambda *x: jnp.stack(x), *thetas))
    assert_close(stacked, jax.tree.map(lambda *x: jnp.stack(x), *[run(theta) for theta in thetas]))


@pytest.mark.slow
@every_rule
def test_gradient_with_respect_to_theta_and_params_is_finite_and_nonzero(name):
    rule, params = OPTIMIZERS[name], {"matrix": make_params()["layers"][0]["matrix"]}
    final_loss = lambda theta, params: loss(unroll(rule.optimizer(theta, HORIZON), params)[0])  # noqa: E731
    gradients = jax.jit(jax.grad(final_loss, argnums=(0, 1)), compiler_options=QUICK)(theta_of(rule), params)
    for path, leaf in jax.tree.leaves_with_path(gradients):
        assert np.isfinite(leaf).all(), path
        assert np.any(leaf != 0), path


@every_rule
def test_a_tree_without_tensors_and_masked_tensors(name):
    rule, params = OPTIMIZERS[name], make_params()
    optimizer = rule.optimizer(theta_of(rule), HORIZON)
    assert optimizer.update({}, optimizer.init({}), {}, value=jnp.float32(1.0))[0] == {}
    masked = optax.masked(optimizer, jax.tree.map(lambda x: x.ndim > 1, params))
    updates, _ = masked.update(params, masked.init(params), params, value=jnp.float32(1.0))
    np.testing.assert_array_equal(updates["layers"][0]["vector"], params["layers"][0]["vector"])
    assert np.any(updates["layers"][0]["matrix"] != params["layers"][0]["matrix"])


@pytest.mark.parametrize("name", ["Celo", "CeloAdam", "RNNMLP", "VeLO"])
def test_a_missing_loss_is_named(name):
    rule, params = OPTIMIZERS[name], {"w": jnp.ones((2, 3))}
    optimizer = rule.optimizer(theta_of(rule), HORIZON)
    with pytest.raises(ValueError, match=f"{name} reads the training loss: call update"):
        optimizer.update(params, optimizer.init(params), params)
    with pytest.raises(ValueError, match=r"value must be a scalar training loss, got shape \[2\]"):
        optimizer.update(params, optimizer.init(params), params, value=jnp.ones(2))


@every_rule
def test_missing_params_are_named_or_not_needed(name):
    rule, params = OPTIMIZERS[name], {"w": jnp.ones((2, 3))}
    optimizer = rule.optimizer(theta_of(rule), HORIZON)
    state = optimizer.init(params)
    try:
        updates, _ = optimizer.update(params, state, value=jnp.float32(1.0))
    except ValueError as error:
        assert re.match(r"\w+ reads the parameters: call update\(grads, state, params", str(error))  # noqa: PT017
    else:
        assert updates["w"].shape == (2, 3)


@every_rule
def test_artifact_round_trip_is_bit_for_bit(name, tmp_path):
    rule = OPTIMIZERS[name]
    theta = theta_of(rule)
    artifacts.save(tmp_path / "rule", artifacts.Artifact(rule, theta))
    loaded = artifacts.load(tmp_path / "rule")
    assert loaded.rule == rule
    jax.tree.map(np.testing.assert_array_equal, loaded.theta, theta)
