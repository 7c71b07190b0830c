"""Released weights of Disco103, and what is refused."""

import hashlib

import jax
import numpy as np
import pytest

from heurax.artifacts import load
from heurax.artifacts.importers import import_artifact
from heurax.artifacts.importers.disco_rl import disco_layout
from heurax.cli import main
from heurax.errors import HeuraxError
from heurax.rules import LPG, Disco

SIZES = {"prediction_size": 5, "hidden_size": 6, "lifetime_size": 4, "embedding_size": 3}
RULE = Disco(**SIZES)


def published(rule):
    """Arrays of a rule's meta-parameters, by their published names, and the tree that they were made from."""
    theta = rule.init(jax.random.key(0))
    leaves = {jax.tree_util.keystr(k, simple=True, separator="/"): x for k, x in jax.tree.leaves_with_path(theta)}
    return {
        name: np.asarray(leaves[entry.target])[None] if entry.has_row else np.asarray(leaves[entry.target])
        for name, entry in disco_layout().items()
    }, theta


def test_import_is_the_inverse_of_the_layout(tmp_path):
    arrays, theta = published(RULE)
    assert sorted(x.target for x in disco_layout().values()) == sorted(
        jax.tree_util.keystr(k, simple=True, separator="/") for k, _ in jax.tree.leaves_with_path(theta)
    )
    np.savez(tmp_path / "disco.npz", **arrays)
    artifact = import_artifact(tmp_path / "disco.npz", RULE)
    jax.tree.map(np.testing.assert_array_equal, artifact.theta, theta)
    assert artifact.provenance["sha256"] == hashlib.sha256((tmp_path / "disco.npz").read_bytes()).hexdigest()


def test_command_line_imports_released_weights(shared, tmp_path, capsys):
    file, out = shared / "weights" / "disco_103.npz", tmp_path / "disco"
    assert main(["import", str(file), str(out), "--rule", "Disco"]) == 0
    assert "Disco with 754,778 meta-parameters" in capsys.readouterr().out
    artifact = load(out)
    assert artifact.provenance["imported_from"] == "disco_103.npz"
    assert [head.name for head in artifact.objective.heads(3)] == ["logits", "y", "z", "q", "next_logits"]
    with np.load(file) as released:
        np.testing.assert_array_equal(artifact.theta["gate"]["w"], released["lstm/linear/w"])
        np.testing.assert_array_equal(
            artifact.theta["lifetime"]["reader"]["actions"][1]["w"],
            released["lstm/~/meta_lstm/~unroll/sequential/conv1_d_1/w"][0],
        )


def test_wrong_files_are_refused(tmp_path):
    arrays, _ = published(RULE)
    name = "lstm/linear/w"

    def refused(changed, message, rule=RULE):
        np.savez(tmp_path / "file.npz", **changed)
        with pytest.raises(HeuraxError, match=message) as error:
            import_artifact(tmp_path / "file.npz", rule)
        assert len(str(error.value).splitlines()) == 1

    refused({k: x for k, x in arrays.items() if k != name}, "lacks the array 'lstm/linear/w' of Disco")
    refused(arrays | {"more": arrays[name]}, "has an array 'more' that Disco does not")
    refused(arrays | {name: arrays[name][:-1]}, r"lstm/linear/w has shape \[3, 6\], wanted \[4, 6\]")
    refused(arrays | {name: arrays[name].astype(np.float64)}, "lstm/linear/w has dtype float64, wanted float32")
    refused(arrays, r"has shape \[5, 3\], wanted \[7, 3\]", Disco(**SIZES | {"prediction_size": 7}))
    refused(arrays, "weights of LPG cannot be imported; those of AdafacMLP.*Disco.* can", LPG())
    refused({"objects": np.array([{"code": print}], dtype=object)}, "is no npz file of arrays: Object arrays cannot")
    (tmp_path / "damaged.npz").write_bytes(b"not a zip file")
    with pytest.raises(HeuraxError, match=r"damaged.npz is no npz file of arrays"):
        import_artifact(tmp_path / "damaged.npz", RULE)
    with pytest.raises(HeuraxError, match=r"nothing.npz cannot be read: No such file"):
        import_artifact(tmp_path / "nothing.npz", RULE)
