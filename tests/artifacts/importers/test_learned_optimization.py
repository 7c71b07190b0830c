"""Released weights of Celo and Celo-Adam, and what is refused."""

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import golden
from heurax.artifacts import load, save
from heurax.artifacts.importers import import_artifact
from heurax.artifacts.importers.learned_optimization import LAYOUTS, layout
from heurax.errors import HeuraxError
from heurax.rules import RULES, Celo, CeloAdam, MLPOptimizer, MuP, Open, VeLO

RELEASED = {"celo": Celo(), "celo_adam": CeloAdam()}


@pytest.mark.parametrize("name", RELEASED)
def test_released_weights_are_those_of_the_reference_run(shared, tmp_path, name):
    artifact = import_artifact(shared / "weights" / name / "theta.state", RELEASED[name])
    expected = golden.velo_theta(golden.load_trajectory(shared, f"{name}_released"))
    jax.tree.map(np.testing.assert_array_equal, artifact.theta, expected)
    save(tmp_path / name, artifact)
    jax.tree.map(np.testing.assert_array_equal, load(tmp_path / name).theta, expected)


@pytest.mark.parametrize(
    ("name", "rule", "message"),
    [
        ("celo", CeloAdam(), "has an array 'ff_mod_stack/~/b0' that CeloAdam does not"),
        ("celo_adam", Celo(), "lacks the array 'ff_mod_stack/~/b0' of Celo"),
        ("celo", VeLO(64, 1), r"rnn_params/linear_2/w has shape \[18, 64\], wanted \[30, 64\]"),
        ("celo", Celo(param_inits=2), r"ff_mod_stack/~/b0 has shape \[1, 4\], wanted \[2, 4\]"),
        ("celo", Open(), "weights of Open cannot be imported; those of AdafacMLP"),
    ],
)
def test_the_wrong_rule_is_refused(shared, name, rule, message):
    with pytest.raises(HeuraxError, match=message):
        import_artifact(shared / "weights" / name / "theta.state", rule)


def test_damaged_files_are_refused(tmp_path):
    with pytest.raises(HeuraxError, match="cannot be read"):
        import_artifact(tmp_path / "missing", MLPOptimizer())
    (tmp_path / "damaged").write_bytes(b"\xc1 not msgpack")
    with pytest.raises(HeuraxError, match="is no flax-msgpack file"):
        import_artifact(tmp_path / "damaged", MLPOptimizer())


def publish(rule):
    """A file of a rule's meta-parameters, in their layout, and the tree it was made from."""
    theta = rule.init(jax.random.key(0))
    leaves = {jax.tree_util.keystr(p, simple=True, separator="/"): x for p, x in jax.tree.leaves_with_path(theta)}
    used = dict.fromkeys(leaves, 0)
    arrays = {}
    for name, entry in layout(rule).items():
        leaf = np.asarray(leaves[entry.target])
        if entry.axis is not None:
            start = used[entry.target]
            used[entry.target] += entry.size or 1
            index = start if entry.size is None else range(start, start + entry.size)
            leaf = np.take(leaf, index, axis=entry.axis)
        arrays[name] = leaf[None] if entry.has_row else leaf
    return arrays, theta


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_importable_rule_round_trips(tmp_path, name):
    rule = VeLO(4, 2) if name == "VeLO" else RULES[name]()
    arrays, theta = publish(rule)
    (tmp_path / "theta.state").write_bytes(flax.serialization.msgpack_serialize(arrays))
    loaded = import_artifact(tmp_path / "theta.state", rule).theta
    jax.tree.map(np.testing.assert_array_equal, loaded, theta)


def test_another_dtype_is_refused(tmp_path):
    arrays, _ = publish(MLPOptimizer())
    arrays["mlp/~/linear_0/w"] = arrays["mlp/~/linear_0/w"].astype(jnp.float16)
    (tmp_path / "theta.state").write_bytes(flax.serialization.msgpack_serialize(arrays))
    with pytest.raises(HeuraxError, match="mlp/~/linear_0/w has dtype float16, wanted float32"):
        import_artifact(tmp_path / "theta.state", MLPOptimizer())
