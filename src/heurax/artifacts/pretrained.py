"""Discovered rules as parts of a config: an artifact that is itself a learned optimizer, a drift or an objective."""

from dataclasses import dataclass
from typing import Any

import optax
from jaxtyping import Array, Float, Key

from heurax.artifacts.artifact import load
from heurax.errors import HeuraxError
from heurax.rules import Drift, DriftFunction, Head, LearnedOptimizer, ObjectiveRule, Outputs, Rule, Trajectory

__all__ = ["PretrainedDrift", "PretrainedObjective", "PretrainedOptimizer"]


@dataclass(frozen=True)
class PretrainedOptimizer(LearnedOptimizer):
    """The learned optimizer of an artifact; `init` gives the artifact's `theta` whatever the key.

    As a fixed part of an inner loop it is used as it was discovered; as the rule, meta-training goes on from there.

    Args:
        artifact: the directory of an artifact or of a run, or `zoo:NAME`.
    """

    artifact: str

    def __post_init__(self) -> None:
        _load(self.artifact, LearnedOptimizer, "a learned optimizer")

    @property
    def resolved(self) -> Rule:
        """The rule in the artifact."""
        return load(self.artifact).rule

    @property
    def step_size(self) -> float | None:
        """That of the artifact's rule."""
        return _load(self.artifact, LearnedOptimizer, "a learned optimizer").step_size

    def init(self, key: Key[Array, ""]) -> Any:
        """The artifact's meta-parameters."""
        del key  # unused: nothing is random here
        return load(self.artifact).theta

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """That of the artifact's rule; see `LearnedOptimizer.optimizer`."""
        return _load(self.artifact, LearnedOptimizer, "a learned optimizer").optimizer(theta, num_steps)


@dataclass(frozen=True)
class PretrainedDrift(Drift):
    """The drift of an artifact; `init` gives the artifact's `theta` whatever the key.

    As a fixed part of an inner loop it is used as it was discovered; as the rule, meta-training goes on from there.

    Args:
        artifact: the directory of an artifact or of a run, or `zoo:NAME`.
    """

    artifact: str

    def __post_init__(self) -> None:
        _load(self.artifact, Drift, "a drift")

    @property
    def resolved(self) -> Rule:
        """The rule in the artifact."""
        return load(self.artifact).rule

    def init(self, key: Key[Array, ""]) -> Any:
        """The artifact's meta-parameters."""
        del key  # unused: nothing is random here
        return load(self.artifact).theta

    def drift(self, theta: Any) -> DriftFunction:
        """That of the artifact's rule; see `Drift.drift`."""
        return _load(self.artifact, Drift, "a drift").drift(theta)


@dataclass(frozen=True)
class PretrainedObjective(ObjectiveRule):
    """The objective of an artifact; `init` gives the artifact's `theta` whatever the key.

    As the rule of an inner loop it trains agents as it was discovered, and meta-training goes on from there.

    Args:
        artifact: the directory of an artifact or of a run, or `zoo:NAME`.
    """

    artifact: str

    def __post_init__(self) -> None:
        self._rule()

    @property
    def resolved(self) -> Rule:
        """The rule in the artifact."""
        return self._rule()

    @property
    def target_decay(self) -> float | None:
        """That of the artifact's rule."""
        return self._rule().target_decay

    def heads(self, num_actions: int) -> tuple[Head, ...]:
        """Those of the artifact's rule."""
        return self._rule().heads(num_actions)

    def init(self, key: Key[Array, ""]) -> Any:
        """The artifact's meta-parameters."""
        del key  # unused: nothing is random here
        return load(self.artifact).theta

    def init_state(self, theta: Any) -> Any:
        """That of the artifact's rule."""
        return self._rule().init_state(theta)

    def targets(self, theta: Any, state: Any, trajectory: Trajectory) -> tuple[Any, Any]:
        """Those of the artifact's rule; see `ObjectiveRule.targets`."""
        return self._rule().targets(theta, state, trajectory)

    def loss(
        self, outputs: Outputs, trajectory: Trajectory, targets: Any
    ) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
        """That of the artifact's rule; see `ObjectiveRule.loss`."""
        return self._rule().loss(outputs, trajectory, targets)

    def _rule(self) -> ObjectiveRule:
        return _load(self.artifact, ObjectiveRule, "an objective")


def _load(path: str, kind: type, wanted: str) -> Any:
    """The rule in an artifact.

    Raises:
        HeuraxError: there is no such artifact, or its rule is of another kind.
    """
    rule = load(path).rule
    if not isinstance(rule, kind):
        raise HeuraxError(f"the rule in {path} must be {wanted}, got {type(rule).__name__}")
    return rule
