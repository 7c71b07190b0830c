"""VeLO: sizes and refusals; its numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.rules import VeLO


def test_a_missing_loss_is_named():
    rule = VeLO(lstm_hidden_size=4, param_inits=2)
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    params = {"w": jnp.ones((2, 3))}
    with pytest.raises(ValueError, match="VeLO reads the training loss: call update"):
        optimizer.update(params, optimizer.init(params), params)
    with pytest.raises(ValueError, match=r"value must be a scalar training loss, got shape \[2\]"):
        optimizer.update(params, optimizer.init(params), params, value=jnp.ones(2))


def test_default_sizes_are_the_published_ones():
    theta = jax.eval_shape(VeLO().init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(theta["bank"])) == 40_704
    assert np.isclose(sum(leaf.size for leaf in jax.tree.leaves(theta)), 2.3e6, rtol=0.05)


@pytest.mark.parametrize("field", ["lstm_hidden_size", "param_inits"])
def test_sizes_must_be_positive(field):
    with pytest.raises(ValueError, match=f"{field} must be >= 1, got 0"):
        VeLO(**{field: 0})
