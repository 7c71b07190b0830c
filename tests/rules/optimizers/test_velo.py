"""VeLO against the reference trajectories of google/learned_optimization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import golden
from heurax.rules import VeLO

BUGS = {
    "off": {},
    "bugloss": {"bugged_loss_features": True},
    "bugstate": {"bugged_lstm_state": True},
    "bugboth": {"bugged_loss_features": True, "bugged_lstm_state": True},
}
FILES = {
    **{f"velo_{name}{kind}": VeLO(32, 8, **bugs) for name, bugs in BUGS.items() for kind in ("", "_long")},
    "velo_off_edge": VeLO(32, 8),
    "velo_released_cfg_small": VeLO(24, 12),
    "velo_noconfig_cfg_small": VeLO(24, 12, bugged_loss_features=True, bugged_lstm_state=True),
    "velo_s_ffmult1": VeLO(64, 8, ff_mult=1.0),
}


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    golden.assert_parity(trajectory, FILES[name].optimizer(golden.velo_theta(trajectory), num_steps=40))


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        theta = golden.velo_theta(trajectory, jnp.float64)
        golden.assert_parity64(trajectory, FILES[name].optimizer(theta, num_steps=40))


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
