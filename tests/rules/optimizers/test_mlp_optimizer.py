"""MLPOptimizer: refusals; its numbers are tested in `test_parity`."""

import pytest

from heurax.rules import MLPOptimizer


def test_hidden_size_must_be_positive():
    with pytest.raises(ValueError, match="hidden_size must be >= 1, got 0"):
        MLPOptimizer(hidden_size=0)
