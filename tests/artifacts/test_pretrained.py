"""Artifacts as parts of a config: what was discovered is used as it is, or discovered further."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import heurax
from heurax import artifacts
from heurax.artifacts import Artifact, PretrainedDrift, PretrainedOptimizer
from heurax.rules import DPO, LPO, LearnableSGD


@pytest.fixture
def lpo(tmp_path):
    rule = LPO(hidden_size=4)
    theta = {"hidden": jnp.ones((8, 4)), "out": jnp.ones((4, 1))}
    artifacts.save(tmp_path / "lpo", Artifact(rule, theta))
    return tmp_path / "lpo"


@pytest.fixture
def sgd(tmp_path):
    rule = LearnableSGD(0.25)
    artifacts.save(tmp_path / "sgd", Artifact(rule, rule.init(jax.random.key(0))))
    return tmp_path / "sgd"


def test_a_loaded_drift_is_a_function(lpo):
    artifact = heurax.load(lpo)
    inputs = jnp.log(jnp.array([0.5, 1.0, 2.0])), jnp.array([1.0, 1.0, 1.0]), jnp.float32(0.5)
    np.testing.assert_array_equal(artifact.drift(*inputs), LPO(4).drift(artifact.theta)(*inputs))
    assert artifact.drift(*inputs)[0] > 0
    with pytest.raises(heurax.HeuraxError, match="LPO is not a learned optimizer"):
        artifact.optimizer(num_steps=1)


def test_a_closed_form_is_an_artifact_too(tmp_path):
    artifacts.save(tmp_path / "dpo", Artifact(DPO(alpha=3.0), ()))
    artifact = heurax.load(tmp_path / "dpo")
    assert artifact.rule == DPO(alpha=3.0)
    assert artifact.theta == ()


def test_pretrained_rules_are_those_of_their_artifact(lpo, sgd, tmp_path):
    drift = PretrainedDrift(str(lpo))
    theta = drift.init(jax.random.key(0))
    inputs = jnp.log(jnp.array([0.5, 2.0])), jnp.array([1.0, 1.0]), jnp.float32(0.5)
    np.testing.assert_array_equal(drift.drift(theta)(*inputs), heurax.load(lpo).drift(*inputs))

    rule = PretrainedOptimizer(str(sgd))
    optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    params = {"w": jnp.array([4.0])}
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_allclose(updates["w"], [-1.0], rtol=1e-6)

    artifacts.save(tmp_path / "again", Artifact(drift, theta))  # describes the rule, not the path it came from
    assert heurax.load(tmp_path / "again").rule == LPO(hidden_size=4)


def test_refusals(lpo, sgd, tmp_path):
    with pytest.raises(heurax.HeuraxError, match="must be a learned optimizer, got LPO"):
        PretrainedOptimizer(str(lpo))
    with pytest.raises(heurax.HeuraxError, match="must be a drift, got LearnableSGD"):
        PretrainedDrift(str(sgd))
    with pytest.raises(heurax.HeuraxError, match="there is no artifact at"):
        PretrainedDrift(str(tmp_path / "nothing"))
    with pytest.raises(heurax.HeuraxError, match="LearnableSGD is not a drift"):
        _ = heurax.load(sgd).drift
    with pytest.raises(heurax.HeuraxError, match=r"there is no artifact 'zoo:nothing'; the zoo has "):
        heurax.load("zoo:nothing")
