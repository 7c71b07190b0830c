"""MLPOptimizer against the reference trajectories of google/learned_optimization."""

import jax
import jax.numpy as jnp
import pytest

import golden
from heurax.rules import MLPOptimizer

FILES = ("mlp_lopt", "mlp_lopt_edge")


def theta_of(trajectory, dtype=jnp.float32):
    theta = trajectory.tree("theta/mlp/~/linear_", dtype)
    return {kind + layer: leaf for name, leaf in theta.items() for layer, kind in [name.split("/")]}


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    golden.assert_parity(trajectory, MLPOptimizer().optimizer(theta_of(trajectory), num_steps=40))


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        golden.assert_parity64(trajectory, MLPOptimizer().optimizer(theta_of(trajectory, jnp.float64), num_steps=40))


def test_hidden_size_must_be_positive():
    with pytest.raises(ValueError, match="hidden_size must be >= 1, got 0"):
        MLPOptimizer(hidden_size=0)
