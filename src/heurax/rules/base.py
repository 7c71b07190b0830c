"""What is discovered: a rule, a frozen description whose meta-parameters `theta` are trained by the outer loop."""

import abc
from typing import Any, ClassVar

import optax
from jaxtyping import Array, Key, PyTree

__all__ = ["LearnedOptimizer", "Rule", "Theta"]

Theta = PyTree[Array, " Theta"]
"""Meta-parameters: any pytree of floating-point arrays."""


class Rule(abc.ABC):
    """Something that can be discovered.

    A rule is a frozen dataclass of plain Python values (hashable, static under `jit`, written to `rule.json` as it
    is). Everything that is learned lives in `theta`, which the rule only describes.
    """

    kind: ClassVar[str] = "rule"
    """What family of rules it belongs to: the name under which an artifact files it."""

    @property
    def resolved(self) -> "Rule":
        """The rule that this one stands for, and that an artifact describes: itself, but for pretrained ones."""
        return self

    def complete(self, theta: Any) -> Any:
        """The meta-parameters of `resolved`: `theta` itself, but for rules that keep a part of them elsewhere."""
        return theta

    @abc.abstractmethod
    def init(self, key: Key[Array, ""]) -> Any:
        """Draw fresh meta-parameters.

        Args:
            key: a typed PRNG key.

        Returns:
            `theta`, a pytree of arrays. Its structure, shapes and dtypes depend on the rule's fields alone.
        """


class LearnedOptimizer(Rule):
    """A rule that maps meta-parameters to an optax transformation.

    A learned optimizer *is* a function from `theta` to an optax transformation, so learned and hand-designed
    optimizers are interchangeable in every inner loop, and a discovered one needs no special trainer.
    """

    kind: ClassVar[str] = "learned_optimizer"

    @property
    def step_size(self) -> float | None:
        """The step size that the rule leaves to its user, and to which updates are proportional; None without one."""
        return None

    @abc.abstractmethod
    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optimizer that `theta` describes.

        Args:
            theta: meta-parameters with the structure of `init`.
            num_steps: length of the training run, in updates; >= 1. Rules that do not condition on the horizon ignore
                it.

        Returns:
            A transformation whose updates are *added* to the parameters (`optax.apply_updates`), keep the parameters'
            dtypes, and whose state is a fixed point under `lax.scan` and `lax.cond`. `update` needs `params` unless
            the rule says otherwise.
        """
