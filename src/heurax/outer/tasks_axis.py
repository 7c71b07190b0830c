"""The axis of tasks: which part of it this device holds, its random keys, and what is done along it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

__all__ = ["map_tasks", "mean_over_tasks", "task_indices", "task_keys"]

CPU_BLOCK = 8
"""Tasks whose lifetimes one CPU core runs side by side, where it has many: their states stay in its cache."""


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


def map_tasks(function: Callable[..., Any], *args: Any, size: int = 1) -> Any:
    """`jax.vmap(function)(*args)` over the tasks on this device.

    On CPUs, many tasks are mapped block by block: more lifetimes side by side than fill the cache only slow each other
    down, and take memory. Tasks that cannot be divided into blocks of about `CPU_BLOCK` are mapped at once.

    Args:
        function: of one task.
        args: its arguments, stacked along their first axis.
        size: tasks that an element stands for, where what is mapped over are whole outer loops; >= 1.
    """
    num = len(jax.tree.leaves(args)[0])
    wanted = max(1, CPU_BLOCK // size)
    sizes = [n for n in range(max(1, wanted // 2), 2 * wanted) if num % n == 0]
    if jax.default_backend() != "cpu" or num * size <= 2 * CPU_BLOCK or not sizes:
        return jax.vmap(function)(*args)
    block = min(sizes, key=lambda n: abs(n - wanted))
    return jax.lax.map(lambda args: function(*args), args, batch_size=block if block > 1 else None)
