"""Celo2: composition with optax, and routing; its numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.rules import Celo2

LEARNED = {"route_vectors": False, "route_paths": ""}


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
