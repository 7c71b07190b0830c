"""Reverse mode through a long chain with few live states: a k-ary tree of checkpoints, replayed.

A segment of n steps is given by the state at its start. Going back over it, `arity - 1` states inside it are computed
by replaying, which split it into `arity` children of n / arity steps; then the children are gone back over, last one
first. For a chain of T = arity^d steps, with the forward pass that finds its end left out:

    replayed steps = T d (arity - 1) / arity,    peak of live states = (arity - 1) d + 1.

Source: REPLAY, Engstrom et al. 2025, arXiv:2503.13751, section 3; the eager form of its recursion.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

__all__ = ["replay_backward", "replay_cost", "tree_depth"]


def tree_depth(num_steps: int, arity: int) -> int:
    """Levels of the tree: the least d with `arity^d >= num_steps`."""
    depth = 0
    while arity**depth < num_steps:
        depth += 1
    return depth


def replay_cost(num_steps: int, arity: int) -> tuple[int, int]:
    """Replayed steps, and the peak of live states, the first state of the chain among them.

    >>> replay_cost(1024, 4), replay_cost(4096, 8)
    ((3840, 16), (14336, 29))
    """

    def steps(length: int, depth: int) -> int:
        if depth == 0:
            return 0
        child = arity ** (depth - 1)
        lengths = [min(child, length - start) for start in range(0, length, child)]
        return sum(lengths[:-1]) + sum(steps(n, depth - 1) for n in lengths)

    depth = tree_depth(num_steps, arity)
    return steps(num_steps, depth), (arity - 1) * depth + 1


def replay_backward(
    advance: Callable[[Any, Int[Array, ""]], Any],
    pull_back: Callable[[Any, Any, Int[Array, ""]], Any],
    state: Any,
    carry: Any,
    num_steps: int,
    arity: int,
) -> Any:
    """Go back over a chain of states.

    Args:
        advance: (state, t) to the next state: step t of the chain.
        pull_back: (carry, state before step t, t) to the carry before step t: cotangents and sums.
        state: at the start of the chain.
        carry: after its last step.
        num_steps: T; >= 1. It need not be a power of `arity`.
        arity: k; >= 2.

    Returns:
        The carry before the first step.
    """

    def segment(depth: int, start: Any, first: Int[Array, ""], end: Int[Array, ""], carry: Any) -> Any:
        """Go back over steps `first` to `end`, exclusive, at most `arity^depth` of them."""
        if depth == 0:
            return pull_back(carry, start, first)
        child = arity ** (depth - 1)
        num_children = (end - first + child - 1) // child

        def store(j: Int[Array, ""], stack_and_state: tuple[Any, Any]) -> tuple[Any, Any]:
            stack, state = stack_and_state
            low = first + j * child
            state = jax.lax.fori_loop(low, low + child, lambda t, state: advance(state, t), state)
            return jax.tree.map(lambda rows, row: rows.at[j].set(row), stack, state), state

        empty = jax.tree.map(lambda x: jnp.broadcast_to(x[None], (arity - 1, *x.shape)), start)
        stack, _ = jax.lax.fori_loop(0, num_children - 1, store, (empty, start))

        def visit(i: Int[Array, ""], carry: Any) -> Any:
            j = num_children - 1 - i
            inside = jax.tree.map(lambda x, rows: jnp.where(j == 0, x, rows[jnp.maximum(j - 1, 0)]), start, stack)
            low = first + j * child
            return segment(depth - 1, inside, low, jnp.minimum(low + child, end), carry)

        return jax.lax.fori_loop(0, num_children, visit, carry)

    return segment(tree_depth(num_steps, arity), state, jnp.int32(0), jnp.int32(num_steps), carry)
