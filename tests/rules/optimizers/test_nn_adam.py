"""NNAdam: where it starts, and refusals; its numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.rules import NNAdam


def test_starts_as_adam_without_bias_correction():
    rule = NNAdam(learning_rate=0.01)
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    gradient = {"w": jnp.array([[1.0, -2.0]])}
    updates, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
    np.testing.assert_allclose(updates["w"], -0.01 * 0.1 / np.sqrt(0.001) * np.array([[1.0, -1.0]]), rtol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lstm_hidden_size": 0}, "lstm_hidden_size must be >= 1, got 0"),
        ({"epsilon": 0.0}, r"epsilon must be > 0, got 0\.0"),
        ({"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1\.0"),
        ({"decay_strength": 2.0}, r"decay_strength must be in \[0, 1\], got 2\.0"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        NNAdam(**fields)
