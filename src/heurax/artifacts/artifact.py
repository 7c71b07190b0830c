"""Artifacts: a discovered rule on disk, as JSON and safetensors. Nothing in it can execute code.

An artifact is a directory of two files. `rule.json` says which rule this is (a name in the fixed table
`heurax.rules.RULES`), with what fields it was made, and where it comes from; `theta.safetensors` holds the
meta-parameters by their path in the tree.
"""

import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import safetensors
import safetensors.numpy

from heurax.errors import HeuraxError
from heurax.files import replace_directory
from heurax.rules import RULES, Drift, DriftFunction, LearnedOptimizer, Objective, ObjectiveRule, Rule

__all__ = ["SCHEMA_VERSION", "Artifact", "load", "locate", "save", "zoo"]

SCHEMA_VERSION = 1
RULE_FILE = "rule.json"
THETA_FILE = "theta.safetensors"
ZOO_PREFIX = "zoo:"
ZOO = Path(__file__).resolve().parents[1] / "zoo"


@dataclass(frozen=True)
class Artifact:
    """A discovered rule.

    Attributes:
        rule: what kind of rule it is.
        theta: its meta-parameters.
        provenance: where it comes from: config, versions, seed, outer steps, measurements.
    """

    rule: Rule
    theta: Any = field(hash=False)
    provenance: dict[str, Any] = field(default_factory=dict, hash=False)

    def optimizer(self, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation of a learned optimizer.

        Args:
            num_steps: length of your training run, in updates.

        Raises:
            HeuraxError: the rule is not a learned optimizer.
        """
        if not isinstance(self.rule, LearnedOptimizer):
            raise HeuraxError(f"{type(self.rule).__name__} is not a learned optimizer, so it has no optax form")
        return self.rule.optimizer(self.theta, num_steps)

    @property
    def drift(self) -> DriftFunction:
        """The function `(log_ratio, advantage, progress) -> drift` of a drift; see `Drift.drift`.

        Raises:
            HeuraxError: the rule is not a drift.
        """
        if not isinstance(self.rule, Drift):
            raise HeuraxError(f"{type(self.rule).__name__} is not a drift, so it has no drift function")
        return self.rule.drift(self.theta)

    @property
    def objective(self) -> Objective:
        """The functions of an objective, for your own training loop; see `Objective`.

        Raises:
            HeuraxError: the rule is not an objective.
        """
        if not isinstance(self.rule, ObjectiveRule):
            raise HeuraxError(f"{type(self.rule).__name__} is not an objective, so it has no targets and no loss")
        return self.rule.objective(self.theta)


def save(path: str | os.PathLike[str], artifact: Artifact, *, overwrite: bool = False) -> None:
    """Write an artifact; it appears in one piece or not at all.

    Args:
        path: the directory to make.
        artifact: what to write.
        overwrite: whether an artifact that is already there may be replaced.

    Raises:
        HeuraxError: `path` exists and is no artifact, or must not be overwritten; or it cannot be written.
    """
    path = Path(path)
    if path.exists() and not (overwrite and (path / RULE_FILE).is_file()):
        raise HeuraxError(f"{path} exists already; give a path that does not")
    description = {
        "schema_version": SCHEMA_VERSION,
        "kind": artifact.rule.resolved.kind,
        **_describe(artifact.rule),
        "provenance": artifact.provenance,
    }
    with replace_directory(path) as temporary:
        (temporary / RULE_FILE).write_text(json.dumps(description, indent=2) + "\n")
        theta = artifact.rule.complete(artifact.theta)
        arrays = {name: np.asarray(leaf) for name, leaf in _named_leaves(theta).items()}
        (temporary / THETA_FILE).write_bytes(safetensors.numpy.save(arrays))


def load(path: str | os.PathLike[str]) -> Artifact:
    """Load an artifact.

    Args:
        path: the directory of an artifact, or of a run, whose artifact is then meant; or `zoo:NAME`, an artifact that
            comes with heurax.

    Returns:
        The artifact. What its kind of rule offers can be used at once: `optimizer(num_steps)` is an optax
        transformation, `drift` a function of log-ratio, advantage and progress, `objective` the functions with which
        an agent learns.

    Raises:
        HeuraxError: there is none, or it is not one that this version can read: another schema version, an unknown
            rule or field, a missing, surplus or misshapen array, or a damaged file.
    """
    path = locate(path)
    try:
        description = json.loads((path / RULE_FILE).read_text())
    except (ValueError, OSError) as error:
        raise HeuraxError(f"{path / RULE_FILE} cannot be read: {error}") from error
    rule = _rule(path / RULE_FILE, description)
    return Artifact(rule, _theta(path / THETA_FILE, rule), description.get("provenance", {}))


def locate(path: str | os.PathLike[str]) -> Path:
    """The directory in which an artifact lies.

    Args:
        path: as of `load`.

    Raises:
        HeuraxError: there is none.
    """
    name = os.fspath(path)
    if name.startswith(ZOO_PREFIX):
        if name.removeprefix(ZOO_PREFIX) not in zoo():
            raise HeuraxError(f"there is no artifact {name!r}; the zoo has {', '.join(zoo()) or 'none yet'}")
        return ZOO / name.removeprefix(ZOO_PREFIX)
    for directory in (Path(path), Path(path) / "artifact"):
        if (directory / RULE_FILE).is_file():
            return directory
    raise HeuraxError(f"there is no artifact at {path}: it has no {RULE_FILE}")


def zoo() -> list[str]:
    """Names of the artifacts that come with heurax, to be loaded as `zoo:NAME`."""
    return sorted(path.parent.name for path in ZOO.glob(f"*/{RULE_FILE}"))


def _describe(rule: Rule) -> dict[str, Any]:
    """A rule's name and its fields; a field that is itself a rule is described in the same way."""
    rule = rule.resolved
    fields = {f.name: getattr(rule, f.name) for f in dataclasses.fields(rule)}  # pyright: ignore[reportArgumentType] # rules are dataclasses
    return {
        "rule": type(rule).__name__,
        "arguments": {name: _describe(value) if isinstance(value, Rule) else value for name, value in fields.items()},
    }


def _named_leaves(theta: Any) -> dict[str, Any]:
    """Leaves by their path in the tree; a theta that is a single array is called `theta`."""
    leaves = jax.tree.leaves_with_path(theta)
    return {jax.tree_util.keystr(keys, simple=True, separator="/") or "theta": leaf for keys, leaf in leaves}


def _rule(path: Path, description: Any) -> Rule:
    if not isinstance(description, dict) or "schema_version" not in description:
        raise HeuraxError(f"{path} is no description of a rule: it has no schema_version")
    version = description["schema_version"]
    if version != SCHEMA_VERSION:
        raise HeuraxError(f"{path} has schema_version {version!r}; this version of heurax reads {SCHEMA_VERSION}")
    return _build(path, description)


def _build(path: Path, description: dict[str, Any]) -> Rule:
    """The rule that `_describe` described."""
    name, arguments = description.get("rule"), description.get("arguments", {})
    if name not in RULES:
        raise HeuraxError(f"{path} names an unknown rule {name!r}; known are {', '.join(RULES)}")

    def value(x: Any) -> Any:
        if isinstance(x, dict) and x.keys() == {"rule", "arguments"}:
            return _build(path, x)
        return tuple(x) if isinstance(x, list) else x

    try:
        return RULES[name](**{k: value(v) for k, v in arguments.items()})
    except (TypeError, ValueError, AttributeError) as error:
        raise HeuraxError(f"{path} does not describe a {name}: {error}") from error


def _theta(path: Path, rule: Rule) -> Any:
    try:
        arrays = safetensors.numpy.load(path.read_bytes())
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        raise HeuraxError(f"{path} cannot be read: {error}") from error
    target = jax.eval_shape(rule.init, jax.random.key(0))
    named = _named_leaves(target)
    for name in sorted(named.keys() | arrays.keys()):
        if name not in arrays:
            raise HeuraxError(f"{path} lacks the array {name!r} of {type(rule).__name__}")
        if name not in named:
            raise HeuraxError(f"{path} has an array {name!r} that {type(rule).__name__} does not")
        wanted, found = named[name], arrays[name]
        if found.shape != wanted.shape:
            raise HeuraxError(f"{path}: {name} has shape {list(found.shape)}, wanted {list(wanted.shape)}")
        if found.dtype != wanted.dtype:
            raise HeuraxError(f"{path}: {name} has dtype {found.dtype}, wanted {wanted.dtype}")
    return jax.tree.unflatten(jax.tree.structure(target), [jnp.asarray(arrays[name]) for name in named])
