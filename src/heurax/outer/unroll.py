"""Unrolling lifetimes window by window: the clock that staggers them, and the unroll itself."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.inner import InnerLoop, StepResult
from heurax.outer.trees import changing_part

__all__ = ["Objective", "begin_window", "initial_clock", "unroll", "unroll_keys", "validate_remat", "validate_window"]

Objective = Literal["mean", "final"]
"""What a window is judged by: the mean of its step losses, or `InnerLoop.meta_loss` at its end."""


def validate_window(window: int, inner: InnerLoop) -> None:
    """Raise ValueError unless a whole number of windows makes a lifetime.

    Lifetimes then begin and end at the edges of windows, and no inner step pays for resets.
    """
    if not 1 <= window <= inner.num_steps:
        raise ValueError(f"window must be between 1 and the horizon, inner.num_steps = {inner.num_steps}; got {window}")
    if inner.num_steps % window:
        divisors = [n for n in range(1, inner.num_steps + 1) if inner.num_steps % n == 0]
        nearest = min(divisors, key=lambda n: abs(n - window))
        raise ValueError(
            f"window must divide the horizon, inner.num_steps = {inner.num_steps}; got {window}, "
            f"the nearest that does is {nearest}"
        )


def initial_clock(index: Int[Array, ""], num_tasks: int, num_steps: int, window: int) -> Int[Array, ""]:
    """The clock of a lifetime before its first window, staggered evenly over the horizon by task index.

    A clock counts the inner steps of a lifetime. Before the first window it is negative, `offset - num_steps`, which
    `begin_window` turns into a fresh lifetime at `offset`: the first lifetime of a task is cut short by its offset.
    """
    num_windows = num_steps // window
    offset = (index * num_windows // num_tasks) * window
    return (offset - num_steps).astype(jnp.int32)


def begin_window(clock: Int[Array, ""], num_steps: int) -> tuple[Bool[Array, ""], Int[Array, ""]]:
    """Whether a new lifetime begins with this window, and the clock at its start."""
    return (clock < 0) | (clock >= num_steps), jnp.mod(clock, num_steps)


def validate_remat(remat: int | None, num_steps: int) -> None:
    """Raise ValueError unless a whole number of blocks makes an unroll of `num_steps`."""
    if remat is not None and (not 1 <= remat <= num_steps or num_steps % remat):
        raise ValueError(f"remat must divide the {num_steps} inner steps that are differentiated, got {remat}")


def unroll(
    inner: InnerLoop,
    theta: Any,
    state: Any,
    key: Key[Array, ""],
    num_steps: int,
    objective: Objective,
    remat: int | None = None,
) -> tuple[Any, Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Run one lifetime for `num_steps` inner steps.

    Args:
        inner: the inner loop.
        theta: meta-parameters.
        state: of the lifetime, before the steps.
        key: a typed PRNG key.
        num_steps: inner steps; >= 1.
        objective: what the steps are judged by.
        remat: length of the blocks that reverse-mode differentiation recomputes, a divisor of `num_steps`: it then
            keeps `num_steps / remat` states, and what it needs to know of the steps of one block. None keeps what it
            needs to know of all steps.

    Returns:
        The state after them, the loss that `objective` asks for, and the steps' mean metrics.
    """
    keys, key_end = unroll_keys(key, num_steps)
    state, results = run_steps(inner, theta, state, keys, remat)
    loss = jnp.mean(results.loss) if objective == "mean" else inner.meta_loss(theta, state, key_end)
    return state, loss, jax.tree.map(jnp.mean, results.metrics)


def unroll_keys(key: Key[Array, ""], num_steps: int) -> tuple[Key[Array, " steps"], Key[Array, ""]]:
    """The keys that `unroll` gives to its inner steps, and to the judgement at their end."""
    keys = jax.random.split(key, num_steps + 1)
    return keys[:-1], keys[-1]


def run_steps(
    inner: InnerLoop, theta: Any, state: Any, keys: Key[Array, " steps"], remat: int | None
) -> tuple[Any, StepResult]:
    """One inner step per key, with rematerialisation in blocks; the results are stacked."""

    def step(state: Any, key: Key[Array, ""]) -> tuple[Any, StepResult]:
        return inner.step(theta, state, key)

    if remat is None:
        return jax.lax.scan(step, state, keys)
    pack, unpack = changing_part(
        lambda state: step(state, keys[0])[0], state
    )  # a block keeps what changes at its start

    def run_block(packed: list[Array], keys: Key[Array, " block"]) -> tuple[list[Array], StepResult]:
        state, results = jax.lax.scan(step, unpack(packed), keys)
        return pack(state), results

    packed, results = jax.lax.scan(jax.checkpoint(run_block, prevent_cse=False), pack(state), keys.reshape(-1, remat))
    return unpack(packed), jax.tree.map(jnp.ravel, results)
