"""Influence balancing: a linear system on which truncated estimators point the wrong way."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.inner.base import InnerLoop, StepResult
from heurax.rules import Scalar

__all__ = ["InfluenceBalancing"]


@dataclass(frozen=True)
class InfluenceBalancing(InnerLoop):
    """`s <- A s + theta b`, loss `1/2 (s_1 - 1)^2`: early and late influences of `theta` on the loss cancel in part.

    `A = I/2 + superdiagonal/2` over `num_states` states, `s` starts at 0, `b` is +1 for the first `num_positive` states
    and -1 for the rest. The direct influence of `theta` has one sign, the delayed one the other
    and more weight, so estimators that forget what came before a window descend in the wrong direction.

    Source: Tallec and Ollivier 2017 (arXiv:1702.05043); sizes as in Vicol et al. 2021 (arXiv:2112.13835).

    Args:
        rule: gives the initial `theta`, a scalar.
        num_steps: the horizon; >= 1.
        num_states: number of states; > num_positive.
        num_positive: number of states that `theta` pushes upwards; >= 1.
    """

    rule: Scalar = Scalar()
    num_steps: int = 100
    num_states: int = 23
    num_positive: int = 10

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")
        if not 1 <= self.num_positive < self.num_states:
            raise ValueError(f"num_positive must be in [1, {self.num_states}), got {self.num_positive}")

    def init(self, theta: Float[Array, ""], key: Key[Array, ""]) -> Float[Array, " n"]:
        """The state at rest."""
        del theta, key  # unused: every lifetime starts alike
        return jnp.zeros((self.num_states,), jnp.float32)

    def step(
        self, theta: Float[Array, ""], state: Float[Array, " n"], key: Key[Array, ""]
    ) -> tuple[Float[Array, " n"], StepResult]:
        """One step of the linear system; the loss is that of the new state."""
        del key  # unused: the system is deterministic
        sign = jnp.where(jnp.arange(self.num_states) < self.num_positive, 1.0, -1.0)
        shifted = jnp.concatenate([state[1:], jnp.zeros((1,), state.dtype)])
        state = 0.5 * state + 0.5 * shifted + theta * sign
        return state, StepResult(self._loss(state), {})

    def meta_loss(self, theta: Any, state: Float[Array, " n"], key: Key[Array, ""]) -> Float[Array, ""]:
        """The loss of a state."""
        del theta, key  # unused: the loss is a function of the state
        return self._loss(state)

    def _loss(self, state: Float[Array, " n"]) -> Float[Array, ""]:
        return 0.5 * (state[0] - 1) ** 2
