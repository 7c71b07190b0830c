"""Optim4RL against a NumPy re-implementation of one element."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.rules import Optim4RL


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2


def reference(theta, gradients, learning_rate):
    """Updates of one element, in float64."""

    def branch(theta, inputs):
        theta = {name: np.asarray(x, np.float64) for name, x in theta.items()}
        (size,) = theta["hidden_b"].shape
        hidden, outputs = np.zeros(size), []
        for x in inputs:
            x_r, x_z, x_n = np.split(x * theta["input_w"][0] + theta["input_b"], 3)
            h_r, h_z, h_n = np.split(hidden @ theta["hidden_w"], 3)
            new = np.tanh(x_n + sigmoid(x_r + h_r) * (h_n + theta["hidden_b"]))
            keep = sigmoid(x_z + h_z)
            hidden = (1 - keep) * new + keep * hidden
            outputs.append(hidden @ theta["w"][:, 0] + theta["b"][0])
        return np.array(outputs)

    log_m, log_v = branch(theta["momentum"], gradients), branch(theta["second_moment"], gradients**2)
    return -learning_rate * np.sign(gradients) * np.exp(log_m) / np.sqrt(np.exp(log_v) + 1e-8)


def random_theta(rule):
    leaves, treedef = jax.tree.flatten(rule.init(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return treedef.unflatten([x + 0.1 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)])


def test_numpy_reference():
    rule = Optim4RL(learning_rate=0.1, gru_size=5)
    theta = random_theta(rule)
    optimizer = rule.optimizer(theta, num_steps=10)
    params = {"matrix": jnp.zeros((2, 3)), "scalar": jnp.zeros(())}
    gradients = {"matrix": np.random.default_rng(0).normal(size=(4, 2, 3)), "scalar": np.array([1.0, 0.0, -30.0, 1e-4])}
    update, state = jax.jit(optimizer.update), optimizer.init(params)
    for step in range(4):
        updates, state = update({n: jnp.asarray(g[step], jnp.float32) for n, g in gradients.items()}, state)
        for name, gradient in gradients.items():
            expected = np.apply_along_axis(lambda g: reference(theta, g, 0.1), 0, gradient)[step]
            np.testing.assert_allclose(updates[name], expected, rtol=2e-5, atol=1e-9)


def test_starts_near_signs_of_gradients():
    rule = Optim4RL(learning_rate=0.1)
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    gradient = {"w": jnp.array([1e-3, -1e-3, 0.0])}
    updates, _ = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_allclose(updates["w"], [-0.1, 0.1, 0.0], rtol=1e-2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 0.0}, r"learning_rate must be > 0, got 0\.0"),
        ({"gru_size": 0}, "gru_size must be >= 1, got 0"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        Optim4RL(**fields)
