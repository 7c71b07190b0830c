"""Training runs that are longer than a learned optimizer was trained for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from heurax.rules.optimizers import tensors

__all__ = ["AccumulationState", "accumulate_to_horizon"]


class AccumulationState(NamedTuple):
    """Sums since the last update, and the state of the optimizer."""

    count: Int[Array, ""]
    gradients: Any
    loss: Float[Array, ""]
    inner: Any


def accumulate_to_horizon(
    make: Callable[[int], optax.GradientTransformation], num_steps: int, trained_horizon: int = 150_000
) -> optax.GradientTransformationExtraArgs:
    """Accumulate gradients so that an optimizer makes no more updates than it was trained for.

    With `k = ceil(num_steps / trained_horizon)`, every `k`-th call averages the last `k` gradients and losses and makes
    one update with them, by the optimizer for `num_steps // k` updates. The other calls return zeros, and cost no more
    than a sum. `optax.MultiSteps` averages gradients, but not the loss that VeLO and Celo read, and runs the optimizer
    in every call.

    Source: `prefab.LearnedOptimizer` of google/learned_optimization, whose default horizon is VeLO's.

    Args:
        make: from a number of updates to the optimizer, such as `heurax.load("velo").optimizer`.
        num_steps: length of the training run, in calls of `update`; >= 1.
        trained_horizon: the largest number of updates that the optimizer may make; >= 1.

    Returns:
        The optimizer itself if `num_steps` is within the horizon, else the optimizer as described.

    Raises:
        ValueError: `num_steps` or `trained_horizon` is out of range.

    >>> optimizer = accumulate_to_horizon(lambda num_steps: optax.sgd(1.0), num_steps=10, trained_horizon=5)
    >>> state = optimizer.init(jnp.float32(0.0))
    >>> for gradient in (jnp.float32(1.0), jnp.float32(3.0)):
    ...     update, state = optimizer.update(gradient, state)
    ...     print(update)
    0.0
    -2.0
    """
    for name, value in (("num_steps", num_steps), ("trained_horizon", trained_horizon)):
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    num_accumulated = -(-num_steps // trained_horizon)
    inner = optax.with_extra_args_support(make(num_steps // num_accumulated))
    if num_accumulated == 1:
        return inner

    def init(params: optax.Params) -> AccumulationState:
        return AccumulationState(
            count=jnp.zeros([], jnp.int32),
            gradients=jax.tree.map(lambda p: jnp.zeros(p.shape, tensors.state_dtype(p)), params),
            loss=jnp.zeros([], tensors.tree_dtype(params)),
            inner=inner.init(params),
        )

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None, *, value: Any = None, **extra_args: Any
    ) -> tuple[optax.Updates, AccumulationState]:
        gradients = jax.tree.map(lambda total, g: total + g.astype(total.dtype), state.gradients, updates)
        loss = state.loss
        if value is not None:
            loss = loss + jnp.asarray(value).astype(loss.dtype)
            extra_args = extra_args | {"value": loss / num_accumulated}

        def apply() -> tuple[optax.Updates, Any]:
            means = jax.tree.map(lambda total, g: (total / num_accumulated).astype(g.dtype), gradients, updates)
            return inner.update(means, state.inner, params, **extra_args)

        def wait() -> tuple[optax.Updates, Any]:
            deltas, _ = jax.eval_shape(apply)
            return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), deltas), state.inner

        count = state.count + 1
        is_due = count == num_accumulated
        deltas, inner_state = jax.lax.cond(is_due, apply, wait)
        gradients, loss, count = jax.tree.map(
            lambda x: jnp.where(is_due, jnp.zeros_like(x), x), (gradients, loss, count)
        )
        return deltas, AccumulationState(count, gradients, loss, inner_state)

    return optax.GradientTransformationExtraArgs(init, update)
