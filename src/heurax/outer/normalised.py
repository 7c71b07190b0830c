"""Losses of families that cannot be compared, made comparable: their logarithms, or multiples of a baseline's."""

import abc
import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.inner import InnerLoop, StepResult, train
from heurax.rules import Rule

__all__ = ["LogLoss", "RelativeLoss", "baseline_loss"]

LEAST_LOSS = 1e-8
"""Losses below it count as it: a logarithm needs a floor, and a quotient a divisor."""

NUM_BASELINE_LIFETIMES = 8


class NormalisedLoss(InnerLoop):
    """An inner loop around an inner loop, whose losses are other numbers; its learners are the same.

    `metrics["loss"]` is the mean step loss as it was. Instances live inside of a compiled program; no config names one.
    """

    inner: InnerLoop

    @abc.abstractmethod
    def normalise(self, loss: Float[Array, ""]) -> Float[Array, ""]:
        """The other number; it grows with the loss."""

    @property
    def rule(self) -> Rule:
        """That of the inner loop."""
        return self.inner.rule

    @property
    def num_steps(self) -> int:
        """That of the inner loop."""
        return self.inner.num_steps

    def init(self, theta: Any, key: Key[Array, ""]) -> Any:
        """The inner loop's."""
        return self.inner.init(theta, key)

    def step(self, theta: Any, state: Any, key: Key[Array, ""]) -> tuple[Any, StepResult]:
        """The inner loop's, its loss normalised."""
        state, result = self.inner.step(theta, state, key)
        return state, StepResult(self.normalise(result.loss), {**result.metrics, "loss": result.loss})

    def meta_loss(self, theta: Any, state: Any, key: Key[Array, ""]) -> Float[Array, ""]:
        """The inner loop's, normalised."""
        return self.normalise(self.inner.meta_loss(theta, state, key))

    def params(self, state: Any) -> Any:
        """The inner loop's."""
        return self.inner.params(state)

    def with_params(self, state: Any, params: Any) -> Any:
        """The inner loop's."""
        return self.inner.with_params(state, params)

    def matching(self, target: Any, state: Any, key: Key[Array, ""]) -> Float[Array, ""]:
        """The inner loop's, which is no loss, and stays what it is."""
        return self.inner.matching(target, state, key)


@dataclass(frozen=True)
class LogLoss(NormalisedLoss):
    """`log max(L, 1e-8)`: for losses above 0, of which ratios count."""

    inner: InnerLoop

    def normalise(self, loss: Float[Array, ""]) -> Float[Array, ""]:
        """Its logarithm."""
        return jnp.log(jnp.maximum(loss, LEAST_LOSS))


@dataclass(frozen=True)
class RelativeLoss(NormalisedLoss):
    """`L / max(|B|, 1e-8)`, with B from `baseline_loss`."""

    inner: InnerLoop
    baseline: Float[Array, ""]

    def normalise(self, loss: Float[Array, ""]) -> Float[Array, ""]:
        """As a multiple of the baseline's."""
        return loss / jnp.maximum(jnp.abs(self.baseline), LEAST_LOSS)


def baseline_loss(inner: InnerLoop, rule: Rule, key: Key[Array, ""]) -> Float[Array, ""]:
    """The mean step loss of 8 lifetimes under a fixed rule.

    Args:
        inner: how they live.
        rule: in the place of the inner loop's; `theta` is what it starts with.
        key: a typed PRNG key.
    """
    key_theta, key_lives = jax.random.split(key)
    described: Any = inner
    baseline = dataclasses.replace(described, rule=rule)
    theta = rule.init(key_theta)
    lives = jax.random.split(key_lives, NUM_BASELINE_LIFETIMES)
    return jnp.mean(jax.vmap(lambda key: train(baseline, theta, key).loss)(lives))
