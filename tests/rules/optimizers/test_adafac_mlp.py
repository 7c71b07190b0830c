"""AdafacMLP against the reference trajectories of google/learned_optimization."""

import jax
import jax.numpy as jnp
import pytest

import golden
from heurax.rules import AdafacMLP

FILES = {"adafac_mlp_lopt_h4": 4, "adafac_mlp_lopt_h4_edge": 4, "adafac_mlp_lopt_h32": 32}


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    golden.assert_parity(
        trajectory, AdafacMLP(hidden_size=FILES[name]).optimizer(golden.adafac_mlp_theta(trajectory), num_steps=40)
    )


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        optimizer = AdafacMLP(hidden_size=FILES[name]).optimizer(
            golden.adafac_mlp_theta(trajectory, jnp.float64), num_steps=40
        )
        golden.assert_parity64(trajectory, optimizer)


def test_number_of_meta_parameters():
    sizes = {
        hidden: sum(leaf.size for leaf in jax.tree.leaves(AdafacMLP(hidden_size=hidden).init(jax.random.key(0))))
        for hidden in (4, 32)
    }
    assert sizes == {4: 190 + 7, 32: 2402 + 7}


def test_hidden_size_must_be_positive():
    with pytest.raises(ValueError, match="hidden_size must be >= 1, got 0"):
        AdafacMLP(hidden_size=0)
