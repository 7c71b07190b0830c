"""Released weights of Celo and Celo-Adam, and what is refused."""

import hashlib
import json

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import golden
from heurax.artifacts import load, save
from heurax.artifacts.importers import import_artifact
from heurax.artifacts.importers.learned_optimization import LAYOUTS, layout
from heurax.cli import main
from heurax.errors import HeuraxError
from heurax.rules import RULES, Celo, CeloAdam, MLPOptimizer, MuP, Open, VeLO

RELEASED = {"celo": Celo(), "celo_adam": CeloAdam()}


@pytest.mark.parametrize("name", RELEASED)
def test_released_weights_are_those_of_the_reference_run(shared, tmp_path, name):
    artifact = import_artifact(shared / "weights" / name / "theta.state", RELEASED[name])
    expected = golden.load_trajectory(shared, f"{name}_released").theta(RELEASED[name])
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


def test_scaled_rules_have_the_layout_of_what_they_scale(tmp_path):
    arrays, theta = publish(MuP())
    (tmp_path / "theta.state").write_bytes(flax.serialization.msgpack_serialize(arrays))
    artifact = import_artifact(tmp_path / "theta.state", MuP(classes={".": "hidden"}))
    assert isinstance(artifact.rule, MuP)
    jax.tree.map(np.testing.assert_array_equal, artifact.theta, theta)


def command(*arguments):
    return main(["import", *map(str, arguments)])


def test_command_line(tmp_path, capsys):
    arrays, theta = publish(VeLO(4, 2))
    content = flax.serialization.msgpack_serialize(arrays)
    file, out = tmp_path / "theta.state", tmp_path / "velo"
    file.write_bytes(content)
    fields = ("--rule.lstm_hidden_size", 4, "--rule.param_inits", 2)
    assert command(file, out, "--rule", "VeLO", *fields) == 0
    assert "VeLO with 733 meta-parameters" in capsys.readouterr().out
    artifact = load(out)
    assert artifact.rule == VeLO(4, 2)
    jax.tree.map(np.testing.assert_array_equal, artifact.theta, theta)
    assert artifact.provenance["imported_from"] == "theta.state"
    assert artifact.provenance["sha256"] == hashlib.sha256(content).hexdigest()

    for arguments, message in {
        (file, out, "--rule", "VeLO", *fields): "exists already",
        (file, tmp_path / "new", "--rule", "VeLO"): r"has shape [2, 4], wanted [256, 4]",
        (file, tmp_path / "new", "--rule", "CeloAdam"): "has an array 'ff_mod_stack/~/b0' that CeloAdam does not",
        (file, tmp_path / "new", "--rule", "Velo"): "rule names an unknown class 'Velo'; did you mean 'VeLO'?",
        (file, tmp_path / "new", "--rule", "VeLO", "--rule.lstm", 4): "unknown field rule.lstm",
        (tmp_path / "nothing", tmp_path / "new", "--rule", "VeLO"): "nothing cannot be read: No such file",
    }.items():
        assert command(*arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theta.state", "velo"]


def test_command_line_imports_released_weights(shared, tmp_path):
    file = shared / "weights" / "celo" / "theta.state"
    assert command(file, "--rule", "Celo", tmp_path / "celo") == 0
    manifest = json.loads((shared / "weights" / "manifest.json").read_text())
    assert load(tmp_path / "celo").provenance["sha256"] == manifest["files"]["celo/theta.state"]["sha256"]


@pytest.mark.parametrize("names", [("params", "gen_id", "step"), ("0", "1", "2")])
def test_checkpoints_are_opened(tmp_path, names):
    arrays, theta = publish(VeLO(4, 2))
    checkpoint = dict(zip(names, (arrays, "aug12", 5620), strict=True))
    (tmp_path / "params").write_bytes(flax.serialization.msgpack_serialize(checkpoint))
    artifact = import_artifact(tmp_path / "params", VeLO(4, 2))
    jax.tree.map(np.testing.assert_array_equal, artifact.theta, theta)
    assert (artifact.provenance["published_run"], artifact.provenance["published_step"]) == ("aug12", 5620)


def test_another_dtype_is_refused(tmp_path):
    arrays, _ = publish(MLPOptimizer())
    arrays["mlp/~/linear_0/w"] = arrays["mlp/~/linear_0/w"].astype(jnp.float16)
    (tmp_path / "theta.state").write_bytes(flax.serialization.msgpack_serialize(arrays))
    with pytest.raises(HeuraxError, match="mlp/~/linear_0/w has dtype float16, wanted float32"):
        import_artifact(tmp_path / "theta.state", MLPOptimizer())
