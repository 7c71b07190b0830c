"""RNNMLP against the reference trajectories of google/learned_optimization and of the Celo repository's copy."""

import jax
import jax.numpy as jnp
import pytest

import golden
from heurax.rules import RNNMLP

FILES = {
    "rnn_mlp_lopt": RNNMLP(),
    "rnn_mlp_lopt_edge": RNNMLP(lstm_hidden_size=16),
    "rnn_mlp_lopt_celo": RNNMLP(lstm_hidden_size=16),
}


def theta_of(trajectory, dtype=jnp.float32):
    theta = trajectory.tree("theta/", dtype)

    def layer(name):
        return {kind: theta[f"{name}/{kind}"] for kind in ("w", "b")}

    mlp = {f"{kind}{i}": theta[f"ffmod_params/mlp/~/linear_{i}/{kind}"] for i in range(3) for kind in ("w", "b")}
    return {
        "lstm": layer("rnn_params/rnn/linear")
        | {kind: theta[f"lstm_init_state/{kind}"][0] for kind in ("hidden", "cell")},
        "lstm_to_lstm": layer("rnn_to_in_params/rnn_to_in"),
        "lstm_to_mlp": layer("rnn_to_ff_params/rnn_to_ff"),
        "mlp": mlp,
        "from_lstm": theta["initial_from_lstm"],
        "from_mlp": theta["initial_from_mlp"],
    }


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    golden.assert_parity(trajectory, FILES[name].optimizer(theta_of(trajectory), num_steps=40))


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        golden.assert_parity64(trajectory, FILES[name].optimizer(theta_of(trajectory, jnp.float64), num_steps=40))


def test_a_missing_loss_is_named():
    rule = RNNMLP(hidden_size=4, lstm_hidden_size=4)
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    params = {"w": jnp.ones((2, 3))}
    with pytest.raises(ValueError, match="RNNMLP reads the training loss: call update"):
        optimizer.update(params, optimizer.init(params), params)


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
