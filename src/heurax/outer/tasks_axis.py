"""The axis of tasks: which part of it this device holds, its random keys, and averages over all of it."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

__all__ = ["mean_over_tasks", "task_indices", "task_keys"]


def task_indices(num_tasks: int, axis_name: str | None) -> Int[Array, " local"]:
    """Global indices of the tasks on this device; all of them when `axis_name` is None."""
    if axis_name is None:
        return jnp.arange(num_tasks)
    num_local = num_tasks // jax.lax.axis_size(axis_name)
    return jax.lax.axis_index(axis_name) * num_local + jnp.arange(num_local)


def task_keys(key: Key[Array, ""], num_tasks: int, axis_name: str | None) -> Key[Array, " local"]:
    """One key per task on this device, derived from the task's global index."""
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(task_indices(num_tasks, axis_name))


def mean_over_tasks(tree: Any, axis_name: str | None) -> Any:
    """Average leaves `[local, ...]` over the tasks of all devices."""
    local = jax.tree.map(lambda x: jnp.mean(x, axis=0), tree)
    return local if axis_name is None else jax.lax.pmean(local, axis_name)
