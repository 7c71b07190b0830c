"""Celo2 against the reference trajectories of amoudgl/celo, and its composition with optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import golden
from heurax.rules import Celo2

LEARNED = {"route_vectors": False, "route_paths": ""}
ROUTED = {"route_vectors": False, "route_paths": ".*bias.*|.*embed.*"}
FILES = {
    "celo2_optax_wd0": Celo2(**LEARNED),
    "celo2_optax_wd0.1": Celo2(weight_decay=0.1, **LEARNED),
    "celo2_optax_edge": Celo2(**LEARNED),
    "celo2base_optax_wd0": Celo2(orthogonalise=False, **LEARNED),
    "celo2base_optax_wd0.1": Celo2(orthogonalise=False, weight_decay=0.1, **LEARNED),
    "celo2base_optax_edge": Celo2(orthogonalise=False, **LEARNED),
    "celo2_routed_wd0": Celo2(**ROUTED),
    "celo2_routed_wd0.1": Celo2(weight_decay=0.1, **ROUTED),
}


def theta_of(trajectory, dtype=jnp.float32):
    theta = trajectory.tree("theta/ff_mod_stack/~/", dtype)
    groups = [theta.pop(f"w0__{group}") for group in range(14)]
    return {"w0": jnp.concatenate(groups), **theta}


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    golden.assert_parity(trajectory, FILES[name].optimizer(theta_of(trajectory), num_steps=40))


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        golden.assert_parity64(trajectory, FILES[name].optimizer(theta_of(trajectory, jnp.float64), num_steps=40))


def test_direction_composes_with_optax():
    rule = Celo2(learning_rate=0.1, weight_decay=0.2, **LEARNED)
    theta = rule.init(jax.random.key(0))
    params = {"w": jnp.arange(6.0).reshape(2, 3), "b": jnp.ones(3)}
    chain = optax.chain(rule.direction(theta), optax.add_decayed_weights(0.2), optax.scale_by_learning_rate(0.1))
    ours, _ = rule.optimizer(theta, 10).update(params, rule.optimizer(theta, 10).init(params), params)
    theirs, _ = chain.update(params, chain.init(params), params)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_default_routes_vectors_and_embeddings_to_adam():
    rule = Celo2(learning_rate=0.1)
    params = {"embedding": jnp.ones((2, 3)), "b": jnp.ones(3), "w": jnp.ones((2, 3))}
    assert rule._labels(params) == {"embedding": "adam", "b": "adam", "w": "learned"}
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), 10)
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    expected = -0.1 * 20 * 0.1 / np.sqrt(0.05 + 1e-8)
    np.testing.assert_allclose(updates["b"], np.full(3, expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1.0"),
        ({"hidden_size": 0}, "hidden_size must be >= 1, got 0"),
        ({"route_paths": "("}, "route_paths must be a regular expression, got"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        Celo2(**fields)
