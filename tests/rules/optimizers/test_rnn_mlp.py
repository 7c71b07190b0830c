"""RNNMLP: refusals; its numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import pytest

from heurax.rules import RNNMLP


def test_a_missing_loss_is_named():
    rule = RNNMLP(hidden_size=4, lstm_hidden_size=4)
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    params = {"w": jnp.ones((2, 3))}
    with pytest.raises(ValueError, match="RNNMLP reads the training loss: call update"):
        optimizer.update(params, optimizer.init(params), params)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be >= 1, got 0"),
        ({"lstm_hidden_size": 0}, "lstm_hidden_size must be >= 1, got 0"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        RNNMLP(**fields)
