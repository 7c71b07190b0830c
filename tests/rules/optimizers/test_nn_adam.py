"""NNAdam against the reference trajectories of google/learned_optimization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import golden
from heurax.rules import NNAdam

FILES = {
    "nn_adam": NNAdam(),
    "nn_adam_decay": NNAdam(lstm_hidden_size=16, decay_strength=0.1),
    "nn_adam_edge": NNAdam(lstm_hidden_size=16),
}


def theta_of(trajectory, dtype=jnp.float32):
    theta = trajectory.tree("theta/", dtype)
    return {
        "lstm": {
            **{kind: theta[f"rnn_params/rnn/linear/{kind}"] for kind in ("w", "b")},
            **{kind: theta[f"lstm_init_state/{kind}"][0] for kind in ("hidden", "cell")},
        },
        "controls": {kind: theta[f"rnn_to_controls_params/rnn_to_controls/{kind}"] for kind in ("w", "b")},
        "hyper_parameters": jnp.stack([theta[f"per_layer_{name}"] for name in ("lr", "beta1", "beta2", "epsilon")]),
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


def test_starts_as_adam_without_bias_correction():
    rule = NNAdam(learning_rate=0.01)
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    gradient = {"w": jnp.array([[1.0, -2.0]])}
    updates, _ = optimizer.update(gradient, optimizer.init(gradient), gradient)
    np.testing.assert_allclose(updates["w"], -0.01 * 0.1 / np.sqrt(0.001) * np.array([[1.0, -1.0]]), rtol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lstm_hidden_size": 0}, "lstm_hidden_size must be >= 1, got 0"),
        ({"epsilon": 0.0}, r"epsilon must be > 0, got 0\.0"),
        ({"beta1": 1.0}, r"beta1 must be in \[0, 1\), got 1\.0"),
        ({"decay_strength": 2.0}, r"decay_strength must be in \[0, 1\], got 2\.0"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        NNAdam(**fields)
