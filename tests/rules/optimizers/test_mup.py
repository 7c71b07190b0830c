"""MuP: classes, multipliers, and the coordinate check; muLO's numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.artifacts import Artifact, load, save
from heurax.rules import AdafacMLP, MuP, VeLO
from heurax.rules.optimizers.mup import base_shapes

CLASSES = {"embed": "input", "kernel": "hidden"}


def network(width):
    sizes = [(8, width), (width, width), (width, 3)]
    return {f"layer{i}": {"kernel": jnp.zeros(shape), "bias": jnp.zeros(shape[1])} for i, shape in enumerate(sizes)}


def test_classes_follow_from_a_base_width():
    rule = MuP(base_shapes=base_shapes(network(16)), scale_output=True)
    kernels = {name: layer["kernel"] for name, layer in rule.multipliers(network(64)).items()}
    assert kernels == {"layer0": 1.0, "layer1": 0.25, "layer2": 0.25}
    assert set(jax.tree.leaves(rule.multipliers(network(16)))) == {1.0}
    assert MuP(base_shapes=base_shapes(network(16))).multipliers(network(64))["layer2"]["kernel"] == 1.0


def test_bad_fields_and_unknown_classes():
    with pytest.raises(ValueError, match="must be one of input, hidden, output, vector, got 'wide'"):
        MuP(classes={"kernel": "wide"})
    with pytest.raises(ValueError, match=r"hidden_mult must be > 0, got 0\.0"):
        MuP(hidden_mult=0.0)
    with pytest.raises(ValueError, match="MuP knows no class for 'layer0/kernel' of shape"):
        MuP().multipliers(network(4))
    with pytest.raises(ValueError, match="must have the rank of"):
        MuP(base_shapes={"layer0/kernel": (3,)}).multipliers(network(4))


def test_artifact_keeps_the_nested_rule(tmp_path):
    rule = MuP(VeLO(4, 2, param_scale=False), classes=CLASSES, base_shapes={"a": (2, 3)})
    save(tmp_path / "artifact", Artifact(rule, rule.init(jax.random.key(0))))
    loaded = load(tmp_path / "artifact").rule
    assert loaded.rule == rule.rule
    assert loaded.multipliers({"a": jnp.zeros((4, 6))}) == rule.multipliers({"a": jnp.zeros((4, 6))})


def change_of_hidden_features(rule, width, num_steps=5):
    """Root mean square change of the pre-activations of the second hidden layer, by the first updates."""
    key_x, key_y, *key_layers = jax.random.split(jax.random.key(0), 5)
    x, y = jax.random.normal(key_x, (32, 8)), jax.random.normal(key_y, (32, 3))
    params = network(width)
    for key, (name, layer) in zip(key_layers, params.items(), strict=True):
        fan_in = layer["kernel"].shape[0]
        params[name]["kernel"] = jax.random.normal(key, layer["kernel"].shape) / np.sqrt(fan_in)
    params["layer2"]["kernel"] = jnp.zeros((width, 3))

    def forward(params):
        first, second, last = params.values()
        hidden = jax.nn.relu(x @ first["kernel"] + first["bias"][None]) @ second["kernel"] + second["bias"][None]
        return hidden, jax.nn.relu(hidden) @ last["kernel"] / width + last["bias"][None]

    optimizer = rule.optimizer(THETA, num_steps=100)

    def step(carry, _):
        params, state = carry
        gradient = jax.grad(lambda p: jnp.mean((forward(p)[1] - y) ** 2))(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    (trained, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, length=num_steps))(
        (params, optimizer.init(params))
    )
    return float(jnp.sqrt(jnp.mean((forward(trained)[0] - forward(params)[0]) ** 2)))


INNER = AdafacMLP(hidden_size=32, step_mult=0.01)
THETA = INNER.init(jax.random.key(2))


def test_coordinate_check():
    classes = {"layer0/kernel": "input", "layer1/kernel": "hidden", "layer2/kernel": "output"}
    widths = (32, 128, 512)
    scaled = [change_of_hidden_features(MuP(INNER, classes), width) for width in widths]
    plain = [change_of_hidden_features(INNER, width) for width in widths]
    assert max(scaled) / min(scaled) < 2
    assert max(plain) / min(plain) > 4
