"""Learned optimizers that are trained part by part."""

from dataclasses import dataclass
from typing import Any

import jax
import optax
from jaxtyping import Array, Key

from heurax.artifacts.artifact import load
from heurax.errors import HeuraxError
from heurax.rules import LearnedOptimizer, Rule

__all__ = ["PartlyTrained"]


@dataclass(frozen=True)
class PartlyTrained(LearnedOptimizer):
    """A learned optimizer of which some parts are trained, and the others stay as they are.

    `theta` has the trained parts alone, so no estimator perturbs the others, and none is spent on them. An artifact of
    it is one of the whole rule. This is how Celo is trained in two phases:

        PartlyTrained(Celo(phase=1), trained=("bank",))
        PartlyTrained(Celo(phase=2), trained=("scheduler",), artifact="runs/phase1")

    Args:
        rule: the learned optimizer; its `theta` is a dict of parts.
        trained: names of the parts that are trained; they start fresh.
        artifact: where the other parts come from, the directory of an artifact or of a run with the shapes of `rule`;
            None draws them once and for all.

    >>> import jax
    >>> from heurax.rules import Celo
    >>> rule = PartlyTrained(Celo(phase=1), trained=("bank",))
    >>> list(rule.init(jax.random.key(0)))
    ['bank']
    """

    rule: LearnedOptimizer
    trained: tuple[str, ...]
    artifact: str | None = None

    def __post_init__(self) -> None:
        whole = jax.eval_shape(self.rule.init, jax.random.key(0))
        if not isinstance(whole, dict):
            raise ValueError(f"rule must have parts, but the meta-parameters of {type(self.rule).__name__} have none")
        unknown = [name for name in self.trained if name not in whole]
        if unknown or not self.trained:
            raise ValueError(f"trained must be some of {', '.join(whole)}, got {list(self.trained)}")
        describe = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)  # noqa: E731
        if self.artifact is not None and describe(load(self.artifact).theta) != describe(whole):
            raise HeuraxError(f"the meta-parameters in {self.artifact} are not those of {self.rule}")

    @property
    def resolved(self) -> Rule:
        """The rule with all of its parts."""
        return self.rule.resolved

    def complete(self, theta: Any) -> Any:
        """The trained parts and the others."""
        whole = self.rule.init(jax.random.key(0)) if self.artifact is None else load(self.artifact).theta
        return self.rule.complete(whole | theta)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Fresh trained parts."""
        whole = self.rule.init(key)
        return {name: whole[name] for name in self.trained}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """That of the whole rule; see `LearnedOptimizer.optimizer`."""
        return self.rule.optimizer(self.complete(theta), num_steps)
