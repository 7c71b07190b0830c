"""Random partitions of a batch, cheaply."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

__all__ = ["minibatch_indices"]


def minibatch_indices(key: Key[Array, ""], num_samples: int, num_minibatches: int) -> Int[Array, "minibatches size"]:
    """Deal the indices 0 to `num_samples - 1` into minibatches at random.

    One sort of 32-bit numbers whose high bits are random and whose low bits are the index, which on CPUs takes a sixth
    of the time of `jax.random.permutation`. The high bits of some indices may coincide; these stay in order.

    Args:
        key: a typed PRNG key.
        num_samples: at most 2^22, which leaves 10 random bits.
        num_minibatches: a divisor of `num_samples`.

    >>> sorted(minibatch_indices(jax.random.key(0), 6, 2).ravel().tolist())
    [0, 1, 2, 3, 4, 5]
    """
    if not 1 <= num_samples <= 2**22:
        raise ValueError(f"num_samples must be in [1, {2**22}], got {num_samples}")
    if num_samples % num_minibatches:
        raise ValueError(f"num_minibatches must divide num_samples = {num_samples}, got {num_minibatches}")
    low_bits = jnp.uint32(2 ** (num_samples - 1).bit_length() - 1)
    index = jnp.arange(num_samples, dtype=jnp.uint32)
    tagged = jax.random.bits(key, (num_samples,), jnp.uint32) & ~low_bits | index
    return (jnp.sort(tagged) & low_bits).astype(jnp.int32).reshape(num_minibatches, -1)
