"""Replay: back-propagation through whole lifetimes with a tree of checkpoints."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from heurax.inner import InnerLoop, StepResult
from heurax.outer.base import Estimate
from heurax.outer.estimators.gradients import GradientEstimator, estimate_or_zero
from heurax.outer.replay import replay_backward, replay_cost
from heurax.outer.trees import changing_part, split_floats
from heurax.outer.unroll import unroll_keys

__all__ = ["Replay"]


@dataclass(frozen=True)
class Replay(GradientEstimator):
    """The exact gradient of `FullGradient` for horizons whose states do not fit into memory.

    The backward pass computes states again from a tree of checkpoints with `arity` children per node: for a horizon
    T = arity^d it keeps `(arity - 1) d + 1` states instead of T (of them, what changes from step to step), and
    replays `T d (arity - 1) / arity` steps; see `heurax.outer.replay`. It keeps no state between estimates.

    Source: Engstrom et al. 2025, arXiv:2503.13751.

    Args:
        num_tasks: tasks in parallel; >= 1.
        objective: `mean` of the step losses over the lifetime, or `final`: the inner loop's meta-loss at its end.
        arity: children per node of the tree; >= 2. Few children save memory, many save time.

    Further options: see `GradientEstimator`.
    """

    arity: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.arity < 2:
            raise ValueError(f"arity must be >= 2, got {self.arity}")

    def validate(self, inner: InnerLoop) -> None:
        """Fits every inner loop."""

    def inner_steps(self, inner: InnerLoop) -> int:
        """A whole lifetime per task, its differentiation, and the replayed steps."""
        return self.num_tasks * (inner.num_steps + replay_cost(inner.num_steps, self.arity)[0])

    def init_task(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> None:
        """No state."""

    def run_task(self, inner: InnerLoop, theta: Any, state: None, key: Key[Array, ""]) -> tuple[Estimate, None]:
        """Forwards once, then backwards over the tree. The keys are those of `unroll`."""
        key_init, key_unroll = jax.random.split(key)
        keys, key_end = unroll_keys(key_unroll, inner.num_steps)
        by_mean = self.objective == "mean"

        # Gradients reach the floating-point part of a state; the rest is carried along.
        _, _, join = split_floats(inner.init(theta, key_init))

        def init(theta: Any) -> tuple[list[Array], list[Array]]:
            floats, others, _ = split_floats(inner.init(theta, key_init))
            return floats, others

        def step(theta: Any, floats: list[Array], others: list[Array], t: Int[Array, ""]) -> Any:
            lifetime, result = inner.step(theta, join(floats, others), keys[t])
            floats, others, _ = split_floats(lifetime)
            return (floats, result.loss), (others, result)

        def forward(lifetime: Any, t: Int[Array, ""]) -> tuple[Any, StepResult]:
            (floats, _), (others, result) = step(theta, lifetime[0], lifetime[1], t)
            return (floats, others), result

        def pull_back(carry: Any, lifetime: Any, t: Int[Array, ""]) -> Any:
            cotangent, gradient = carry
            floats, others = lifetime
            (_, loss), vjp, _ = jax.vjp(
                lambda theta, floats: step(theta, floats, others, t), theta, floats, has_aux=True
            )
            direct, cotangent = vjp((cotangent, jnp.full_like(loss, 1 / inner.num_steps if by_mean else 0)))
            return cotangent, jax.tree.map(jnp.add, gradient, direct)

        start, init_vjp, others = jax.vjp(init, theta, has_aux=True)
        (end, end_others), results = jax.lax.scan(forward, (start, others), jnp.arange(inner.num_steps))
        if by_mean:
            loss = jnp.mean(results.loss)
            carry = jax.tree.map(jnp.zeros_like, (end, theta))
        else:
            loss, end_vjp = jax.vjp(
                lambda floats, theta: inner.meta_loss(theta, join(floats, end_others), key_end), end, theta
            )
            carry = end_vjp(jnp.ones_like(loss))

        # What no step changes, such as the data of a task, is kept once.
        pack, unpack = changing_part(lambda lifetime: forward(lifetime, jnp.int32(0))[0], (start, others))
        cotangent, gradient = replay_backward(
            lambda packed, t: pack(forward(unpack(packed), t)[0]),
            lambda carry, packed, t: pull_back(carry, unpack(packed), t),
            pack((start, others)),
            carry,
            inner.num_steps,
            self.arity,
        )
        gradient = jax.tree.map(jnp.add, gradient, init_vjp(cotangent)[0])
        return estimate_or_zero(gradient, loss, jax.tree.map(jnp.mean, results.metrics)), state
