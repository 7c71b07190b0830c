"""Artifacts: what is refused, and with which sentence."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy

import heurax
from heurax import artifacts
from heurax.rules import AdafacMLP, Scalar


@pytest.fixture
def path(tmp_path):
    rule = AdafacMLP()
    artifact = artifacts.Artifact(rule, rule.init(jax.random.key(0)), {"outer_steps": 3})
    artifacts.save(tmp_path / "rule", artifact)
    return tmp_path / "rule"


def change_description(path, **changes):
    description = json.loads((path / "rule.json").read_text())
    (path / "rule.json").write_text(json.dumps(description | changes))


def change_arrays(path, change):
    arrays = safetensors.numpy.load_file(path / "theta.safetensors")
    change(arrays)
    safetensors.numpy.save_file(arrays, path / "theta.safetensors")


def test_load_gives_rule_theta_and_provenance(path):
    artifact = heurax.load(path)
    assert artifact.rule == AdafacMLP()
    assert artifact.provenance == {"outer_steps": 3}
    assert sorted(p.name for p in path.iterdir()) == ["rule.json", "theta.safetensors"]


def test_a_run_directory_stands_for_its_artifact(path):
    run = path.parent / "run"
    run.mkdir()
    path.rename(run / "artifact")
    assert heurax.load(run).rule == AdafacMLP()


def test_single_array_theta(tmp_path):
    artifacts.save(tmp_path / "scalar", artifacts.Artifact(Scalar(), Scalar(2.0).init(jax.random.key(0))))
    artifact = heurax.load(tmp_path / "scalar")
    assert artifact.theta == 2.0
    with pytest.raises(heurax.HeuraxError, match="Scalar is not a learned optimizer"):
        artifact.optimizer(num_steps=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "has schema_version 2; this version of heurax reads 1"),
        ({"rule": "os.system"}, "names an unknown rule 'os.system'; known are AdafacMLP"),
        ({"arguments": {"hidden": 4}}, "does not describe a AdafacMLP: .*'hidden'"),
        ({"arguments": {"hidden_size": 0}}, "hidden_size must be >= 1, got 0"),
        ({"arguments": {"hidden_size": 8}}, r"network/b0 has shape \[4\], wanted \[8\]"),
    ],
)
def test_wrong_description(path, changes, message):
    change_description(path, **changes)
    with pytest.raises(heurax.HeuraxError, match=message):
        heurax.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: a.update({"network/w0": np.zeros((39, 5), np.float32)}),
            r"w0 has shape \[39, 5\], wanted",
        ),
        (lambda a: a.update({"network/w0": np.zeros((39, 4))}), "w0 has dtype float64, wanted float32"),
        (lambda a: a.pop("network/w0"), "lacks the array 'network/w0' of AdafacMLP"),
        (lambda a: a.update({"extra": np.zeros(1)}), "has an array 'extra' that AdafacMLP does not"),
    ],
)
def test_wrong_arrays(path, change, message):
    change_arrays(path, change)
    with pytest.raises(heurax.HeuraxError, match=message):
        heurax.load(path)


def test_damaged_files(path):
    whole = (path / "theta.safetensors").read_bytes()
    (path / "theta.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(heurax.HeuraxError, match=r"theta.safetensors cannot be read"):
        heurax.load(path)
    (path / "rule.json").write_text("{")
    with pytest.raises(heurax.HeuraxError, match=r"rule.json cannot be read"):
        heurax.load(path)


def test_nothing_is_overwritten_unasked(path):
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    with pytest.raises(heurax.HeuraxError, match="exists already"):
        artifacts.save(path, artifacts.Artifact(Scalar(), np.float32(1)))
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    with pytest.raises(heurax.HeuraxError, match="there is no artifact at"):
        heurax.load(path.parent)
