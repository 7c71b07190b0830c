"""MuP: classes, multipliers, and the coordinate check; muLO's numbers are tested in `test_parity`."""

import jax
import jax.numpy as jnp
import pytest
from benchmarks.mup_coordinate_check import RULES, coordinate_check, spread

from heurax.artifacts import Artifact, load, save
from heurax.rules import MuP, VeLO
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


@pytest.mark.slow
def test_coordinate_check():
    changes = coordinate_check(RULES["AdafacMLP (32)"], widths=(32, 128, 512), num_seeds=2)
    assert spread(changes["under_mup"]) < 2  # eight seeds: 1.13 and 7.02
    assert spread(changes["plain"]) > 4
