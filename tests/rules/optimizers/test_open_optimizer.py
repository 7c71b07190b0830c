"""Open against the reference trajectories of AlexGoldie/rl-learned-optimization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import golden
from heurax.rules import Open
from heurax.rules.optimizers.open_optimizer import layer_proportions

FILES = {
    "open_random": Open(),
    "open_released_breakout": Open(),
    "open_released_multi": Open(hidden_size=32, gru_size=16),
}


def theta_of(trajectory, dtype=jnp.float32):
    theta = trajectory.tree("theta/", dtype)
    gru, mlp = "gru_params/params", "params/params/layers"
    layers = {
        f"{ours}{i}": f"{mlp}_{3 * i}/{kind}" for i in range(3) for ours, kind in (("w", "kernel"), ("b", "bias"))
    }
    norms = {
        f"{ours}{i}": f"{mlp}_{3 * i + 1}/{kind}"
        for i in range(2)
        for ours, kind in (("scale", "scale"), ("offset", "bias"))
    }
    return {
        "gru": {
            "input_w": jnp.concatenate([theta[f"{gru}/i{gate}/kernel"] for gate in "rzn"], axis=1),
            "input_b": jnp.concatenate([theta[f"{gru}/i{gate}/bias"] for gate in "rzn"]),
            "hidden_w": jnp.concatenate([theta[f"{gru}/h{gate}/kernel"] for gate in "rzn"], axis=1),
            "hidden_b": theta[f"{gru}/hn/bias"],
        },
        "mlp": {ours: theta[theirs] for ours, theirs in (layers | norms).items()},
    }


def arguments_of(trajectory, dtype=jnp.float32):
    return lambda step: {
        "noise": trajectory.tree(f"noise/{step}/", dtype),
        "activations": trajectory.tree(f"activations/{step}/", dtype),
        "training_proportion": jnp.asarray(trajectory.arrays["training_prop"][step], dtype),
        "batch_proportion": jnp.asarray(trajectory.arrays["batch_prop"][step], dtype),
    }


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    optimizer = FILES[name].optimizer(theta_of(trajectory), num_steps=40)
    golden.assert_parity(trajectory, optimizer, arguments_of(trajectory))


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        optimizer = FILES[name].optimizer(theta_of(trajectory, jnp.float64), num_steps=40)
        golden.assert_parity64(trajectory, optimizer, arguments_of(trajectory, jnp.float64))


def test_layer_proportions_are_those_of_the_reference(shared):
    trajectory = golden.load_trajectory(shared, "open_random")
    expected = {name: float(x) for name, x in trajectory.tree("layer_prop/").items()}
    assert layer_proportions(trajectory.tree("params/0/")) == expected


def test_noise_only_for_the_actor_and_mean_zero():
    rule = Open()
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    params = {"actor": {"w": jnp.ones((2, 3))}, "critic": {"w": jnp.ones((4, 3))}}
    state = optimizer.init(params)
    updates = [optimizer.update(params, state, params, key=jax.random.key(seed))[0] for seed in range(2)]
    for update in updates:
        np.testing.assert_allclose(sum(jnp.sum(x) for x in jax.tree.leaves(update)), 0.0, atol=1e-8)
        assert np.ptp(update["actor"]["w"]) > 0
        assert np.ptp(update["critic"]["w"]) < 1e-9
    assert np.any(updates[0]["actor"]["w"] != updates[1]["actor"]["w"])
    with pytest.raises(ValueError, match=r"Open draws noise for the tensors of '\^actor'"):
        optimizer.update(params, state, params)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 0}, "hidden_size must be >= 1, got 0"),
        ({"gru_size": 0}, "gru_size must be >= 1, got 0"),
        ({"actor": "("}, "actor must be a regular expression, got"),
    ],
)
def test_bad_fields(fields, message):
    with pytest.raises(ValueError, match=message):
        Open(**fields)
