"""Taking a tree of parameters apart into tensors, and putting it together again."""

import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array

__all__ = [
    "by_state_dtype",
    "cast",
    "map_tensors",
    "path_name",
    "state_dtype",
    "tensor_rows",
    "tree_dtype",
    "update_tensors",
]

STACKED_SIZE = 1_024
"""Elements of the largest tensors that are stacked."""


def state_dtype(leaf: Array) -> jnp.dtype:
    """The dtype in which a leaf's accumulators live and its features are computed: float32, or float64 for float64."""
    return jnp.dtype(jnp.float64 if leaf.dtype == jnp.float64 else jnp.float32)


def tree_dtype(tree: Any) -> jnp.dtype:
    """The dtype of computations that concern all leaves of a tree: float64 if any leaf is float64, else float32."""
    dtypes = [state_dtype(leaf) for leaf in jax.tree.leaves(tree)]
    return max(dtypes, key=lambda dtype: dtype.itemsize, default=jnp.dtype(jnp.float32))


def by_state_dtype(function: Callable[[jnp.dtype], Any], params: Any) -> dict[jnp.dtype, Any]:
    """What a function makes of each `state_dtype` in a tree: computed once, where tensors would each compute it."""
    return {dtype: function(dtype) for dtype in dict.fromkeys(map(state_dtype, jax.tree.leaves(params)))}


def cast(tree: Any, dtype: jnp.dtype) -> Any:
    """All leaves of a tree in one dtype."""
    return jax.tree.map(lambda x: x.astype(dtype), tree)


def path_name(path: Any) -> str:
    """The `/`-joined name of a leaf, from a path of `jax.tree_util`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def tensor_rows(params: Any, *trees: Any) -> list[tuple[Any, ...]]:
    """For each leaf of `params`, in order, what belongs to it in each of `trees`."""
    treedef = jax.tree.structure(params)
    return list(zip(*(treedef.flatten_up_to(tree) for tree in trees), strict=True))


def update_tensors(function: Callable[..., tuple[Any, Any]], params: Any, *trees: Any) -> tuple[Any, Any]:
    """Update every tensor of a tree on its own; see `map_tensors`.

    Args:
        function: maps a parameter, and what belongs to it in each of `trees`, to its update and its new state.
        params: the tree of parameters.
        trees: each of the structure of `params`, with any subtree in the place of a leaf.

    Returns:
        The updates and the new states, two trees of the structure of `params`.
    """
    results = map_tensors(function, params, *trees)
    updates, states = (jax.tree.map(lambda _, result, i=i: result[i], params, results) for i in range(2))
    return updates, states


def map_tensors(function: Callable[..., Any], params: Any, *trees: Any) -> Any:
    """Map a function over the tensors of a tree, small ones of equal shape together.

    A network has more biases and other small tensors than large ones, and what they cost is mostly the number of
    operations, in time and in compilation. So tensors up to `STACKED_SIZE` elements are stacked and mapped by `vmap`.
    Larger ones are not: that would copy them, and gather them where equal shapes are sharded in different ways.

    Args:
        function: maps a parameter, and what belongs to it in each of `trees`, to a tree of arrays.
        params: the tree of parameters.
        trees: each of the structure of `params`, with any subtree in the place of a leaf.

    Returns:
        A tree of the structure of `params` with the results in the place of leaves.
    """
    rows = tensor_rows(params, params, *trees)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(rows)):
        function = jax.jit(function)  # tensors of equal shape are traced once
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(i if row[0].size > STACKED_SIZE else _signature(row), []).append(i)
    results: dict[int, Any] = {}
    for members in groups.values():
        if len(members) == 1:
            results[members[0]] = function(*rows[members[0]])
            continue
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(rows[i] for i in members))
        batch = _map(function, stacked, len(members))
        for k, i in enumerate(members):
            results[i] = jax.tree.map(operator.itemgetter(k), batch)
    return jax.tree.structure(params).unflatten([results[i] for i in range(len(rows))])


def _map(function: Callable[..., Any], rows: Any, num_rows: int) -> Any:
    """`jax.vmap(function)(*rows)` in a loop of few iterations, the least that divide the rows evenly.

    Without the loop XLA would compile the whole function again for each row that is taken out of the result.
    """
    num_batches = next(n for n in range(2, num_rows + 1) if num_rows % n == 0)
    split = jax.tree.map(lambda x: x.reshape(num_batches, -1, *x.shape[1:]), rows)
    results = jax.lax.map(lambda batch: jax.vmap(function)(*batch), split)
    return jax.tree.map(lambda x: x.reshape(num_rows, *x.shape[2:]), results)


def _signature(row: Any) -> Any:
    """What rows must share to be stacked: structure, shapes and dtypes."""
    leaves, treedef = jax.tree.flatten(row)
    return treedef, tuple((jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves)
