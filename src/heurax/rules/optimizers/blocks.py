"""Working through a large tensor block by block, so that what lies between inputs and outputs stays in the cache."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

__all__ = ["map_blocks"]

NUM_SHARDS = 4
"""Blocks are chosen so that a tensor sharded this many times, or a divisor of it, is not gathered."""


def map_blocks(
    function: Callable[[Any], Sequence[Array]],
    inputs: Any,
    shape: tuple[int, ...],
    *,
    block_size: int,
    largest_block: int,
) -> list[Array]:
    """`function(inputs)`, for a large tensor block by block, so that what lies between stays in the cache.

    Args:
        function: maps parts of `inputs` to arrays of the part's shape with one axis in front; elementwise.
        inputs: a tree of arrays that broadcast to the tensor's shape, with or without further axes in front.
        shape: of the tensor.
        block_size: elements of a block, about.
        largest_block: elements of the largest tensors that are not cut.

    Returns:
        What `function` gives for the whole tensor.
    """
    blocks = None if math.prod(shape) <= largest_block else _blocks(shape, block_size)
    return list(function(inputs)) if blocks is None else _map_blocks(function, inputs, len(shape), *blocks)


def _blocks(shape: tuple[int, ...], block_size: int) -> tuple[int, int] | None:
    """The axis to work along block by block, and the number of blocks; None for a tensor that cannot be cut."""
    size = math.prod(shape)
    axes = range(max(len(shape) - 1, 1))  # not along the last axis, whose elements are neighbours in memory
    options = [(axis, n) for axis in axes for n in range(2, shape[axis] + 1) if shape[axis] % n == 0]

    def cost(option: tuple[int, int]) -> tuple[bool, float]:
        axis, num_blocks = option
        spread = shape[axis] // num_blocks % NUM_SHARDS == 0  # each of so many shards has a part of every block
        return not spread, abs(math.log(size / num_blocks / block_size))

    return min(options, key=cost, default=None)


def _map_blocks(
    function: Callable[[Any], Sequence[Array]], inputs: Any, rank: int, axis: int, num_blocks: int
) -> list[Array]:
    """`function(inputs)`, block by block along an axis of the tensor, recomputed in reverse mode.

    The axis is split in two, the second of which counts blocks: however the tensor is sharded along it, it stays so.
    """
    axis -= rank  # from behind, because some inputs have further axes in front

    def split(x: Array) -> Array:
        length = x.shape[axis]
        parts = (length // num_blocks, num_blocks) if length > 1 else (1, 1)
        return x.reshape(*x.shape[: x.ndim + axis], *parts, *x.shape[x.ndim + axis + 1 :])

    split_inputs = jax.tree.map(split, inputs)

    @jax.checkpoint
    def block(index: Int[Array, ""]) -> list[Array]:
        def select(x: Array) -> Array:
            position = x.ndim + axis
            last = x.shape[position] - 1
            return jax.lax.dynamic_index_in_dim(x, jnp.minimum(index, last), position, keepdims=False)

        return list(function(jax.tree.map(select, split_inputs)))

    def join(x: Array) -> Array:
        position = x.ndim + axis
        x = jnp.moveaxis(x, 0, position)
        return x.reshape(*x.shape[: position - 1], -1, *x.shape[position + 1 :])

    return [join(x) for x in jax.lax.map(block, jnp.arange(num_blocks))]
