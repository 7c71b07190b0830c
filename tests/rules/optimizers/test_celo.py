"""Celo and CeloAdam: refusals; their numbers are tested in `test_parity`."""

import pytest

from heurax.rules import Celo, CeloAdam


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Celo(phase=3), "phase must be 1 or 2, got 3"),
        (lambda: Celo(param_inits=0), "param_inits must be >= 1, got 0"),
        (lambda: CeloAdam(lstm_hidden_size=0), "lstm_hidden_size must be >= 1, got 0"),
        (lambda: CeloAdam(beta2=1.0), r"beta2 must be in \[0, 1\), got 1.0"),
        (lambda: CeloAdam(epsilon=-1.0), "epsilon must be >= 0, got -1.0"),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(ValueError, match=message):
        make()
