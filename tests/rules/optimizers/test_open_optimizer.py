"""Open: noise, and refusals; its numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.rules import Open
from heurax.rules.optimizers import open_optimizer


def test_noise_only_for_the_actor_and_mean_zero():
    rule = Open()
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    params = {"actor": {"w": jnp.ones((2, 3))}, "critic": {"w": jnp.ones((4, 3))}}
    state = optimizer.init(params)
    updates = [optimizer.update(params, state, params, key=jax.random.key(seed))[0] for seed in range(2)]
    for update in updates:
        np.testing.assert_allclose(sum(jnp.sum(x) for x in jax.tree.leaves(update)), 0.0, atol=1e-8)
        assert np.ptp(update["actor"]["w"]) > 0
        assert np.ptp(update["critic"]["w"]) < 1e-9
    assert np.any(updates[0]["actor"]["w"] != updates[1]["actor"]["w"])
    with pytest.raises(ValueError, match=r"Open draws noise for the tensors of '\^actor'"):
        optimizer.update(params, state, params)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be >= 1, got 0"),
        ({"gru_size": 0}, "gru_size must be >= 1, got 0"),
        ({"actor": "("}, "actor must be a regular expression, got"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        Open(**fields)


def test_blocks_change_no_number(monkeypatch):
    """A large tensor goes through the network block by block, whatever is broadcast to it."""
    keys = jax.random.split(jax.random.key(0), 4)
    params, gradients = ({"actor": jax.random.normal(key, (60, 20))} for key in keys[:2])
    rule = Open()
    theta = jax.tree.map(lambda x: x + 0.1, rule.init(keys[2]))
    activations = {"actor": jnp.arange(20.0)}

    def update(params, gradients):
        optimizer = rule.optimizer(theta, num_steps=10)
        return optimizer.update(gradients, optimizer.init(params), params, key=keys[3], activations=activations)

    whole = jax.jit(update)(params, gradients)
    monkeypatch.setattr(open_optimizer, "BLOCK_SIZE", 100)
    monkeypatch.setattr(open_optimizer, "LARGEST_BLOCK", 200)
    assert "scan" in str(jax.make_jaxpr(lambda *trees: update(*trees))(params, gradients)), "there are no blocks"
    in_blocks = jax.jit(lambda *trees: update(*trees))(params, gradients)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), in_blocks, whole)
