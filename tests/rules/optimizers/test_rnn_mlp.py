"""RNNMLP: refusals; its numbers are tested in `test_parity`."""

import pytest

from heurax.rules import RNNMLP


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
