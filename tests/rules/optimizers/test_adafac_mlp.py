"""AdafacMLP: sizes and refusals; its numbers are tested in `test_parity`."""

import jax
import pytest

from heurax.rules import AdafacMLP


def test_number_of_meta_parameters():
    sizes = {
        hidden: sum(leaf.size for leaf in jax.tree.leaves(AdafacMLP(hidden_size=hidden).init(jax.random.key(0))))
        for hidden in (4, 32)
    }
    assert sizes == {4: 190 + 7, 32: 2402 + 7}


def test_hidden_size_must_be_positive():
    with pytest.raises(ValueError, match="hidden_size must be >= 1, got 0"):
        AdafacMLP(hidden_size=0)
