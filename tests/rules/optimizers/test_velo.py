"""VeLO: sizes and refusals; its numbers are tested in `test_parity`."""

import jax
import numpy as np
import pytest

from heurax.rules import VeLO


def test_default_sizes_are_the_published_ones():
    theta = jax.eval_shape(VeLO().init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(theta["bank"])) == 40_704
    assert np.isclose(sum(leaf.size for leaf in jax.tree.leaves(theta)), 2.3e6, rtol=0.05)


@pytest.mark.parametrize("field", ["lstm_hidden_size", "param_inits"])
def test_sizes_must_be_positive(field):
    with pytest.raises(ValueError, match=f"{field} must be >= 1, got 0"):
        VeLO(**{field: 0})
