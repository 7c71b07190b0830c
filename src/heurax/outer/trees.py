"""Trees as vectors, and the leaves of a tree that a gradient can reach."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["changing_part", "from_vector", "num_elements", "split_floats", "to_vector"]


def num_elements(tree: Any) -> int:
    """How many numbers a tree holds."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def to_vector(tree: Any) -> Float[Array, " n"]:
    """All numbers of a tree, in float32 (or float64 if a leaf is)."""
    leaves = jax.tree.leaves(tree)
    dtype = jnp.float64 if any(leaf.dtype == jnp.float64 for leaf in leaves) else jnp.float32
    return jnp.concatenate([leaf.astype(dtype).ravel() for leaf in leaves] or [jnp.zeros(0, dtype)])


def from_vector(vector: Float[Array, " n"], like: Any) -> Any:
    """The tree of the structure, shapes and dtypes of `like` whose numbers are `vector`."""
    leaves, treedef = jax.tree.flatten(like)
    parts = jax.lax.split(vector, [math.prod(leaf.shape) for leaf in leaves]) if leaves else []
    return treedef.unflatten([part.reshape(x.shape).astype(x.dtype) for part, x in zip(parts, leaves, strict=True)])


def split_floats(tree: Any) -> tuple[list[Array], list[Array], Callable[[list[Array], list[Array]], Any]]:
    """The floating-point leaves of a tree, its other leaves, and the function that puts such leaves together again.

    A gradient reaches the former only: keys, counters and labels have none.
    """
    leaves, treedef = jax.tree.flatten(tree)
    is_float = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves]

    def join(floats: list[Array], others: list[Array]) -> Any:
        f, o = iter(floats), iter(others)
        return treedef.unflatten([next(f) if float_leaf else next(o) for float_leaf in is_float])

    floats = [leaf for leaf, float_leaf in zip(leaves, is_float, strict=True) if float_leaf]
    others = [leaf for leaf, float_leaf in zip(leaves, is_float, strict=True) if not float_leaf]
    return floats, others, join


def changing_part(
    step_fn: Callable[[Any], Any], state: Any
) -> tuple[Callable[[Any], list[Array]], Callable[[list[Array]], Any]]:
    """What of a state a step changes: leaves that `step_fn` gives back as they are need to be kept once only.

    The data of a task is such a part of a lifetime's state.

    Returns:
        A function from a state to the leaves that change, and one from such leaves to a state, the rest as in `state`.

    >>> state = {"data": jnp.ones(3), "x": jnp.zeros(3)}
    >>> pack, unpack = changing_part(lambda s: {"data": s["data"], "x": s["x"] + 1}, state)
    >>> len(pack(state))
    1
    """
    leaves, treedef = jax.tree.flatten(state)
    jaxpr = jax.make_jaxpr(step_fn)(state).jaxpr
    changes = [after is not before for before, after in zip(jaxpr.invars, jaxpr.outvars, strict=True)]

    def pack(state: Any) -> list[Array]:
        return [x for x, change in zip(jax.tree.leaves(state), changes, strict=True) if change]

    def unpack(packed: list[Array]) -> Any:
        rest = iter(packed)
        return treedef.unflatten([next(rest) if change else x for x, change in zip(leaves, changes, strict=True)])

    return pack, unpack
