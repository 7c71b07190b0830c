"""What `heurax list environments` is made of."""

import pytest

from heurax.envs.listing import ADAPTERS, describe_adapter, describe_own


def test_our_own_are_described_as_they_are_by_default():
    assert describe_own() == {
        "Catch": "observation 10x5, 3 actions",
        "DelayedChain": "observation 33, 2 actions",
        "GridWorld": "observation 1936, 5 actions",
        "RandomMDP": "observation 20, 4 actions",
        "Snake": "observation 12x12x4, 4 actions",
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_names_its_environments_or_how_to_install_them(name):
    lines = dict(describe_adapter(name))
    if name == "Brax":
        assert lines["ant"] == "observation 27, 8 numbers in [-1, 1]"
        assert lines["swimmer"] == "observation 8, 2 numbers in [-1, 1]"
    assert len(lines) > 10 or "pip install 'heurax[" in lines[name]
