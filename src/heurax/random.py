"""Random numbers for compiled programs: cheap ones, and none where there is no choice.

Bits and normal numbers are the same as `jax.random`'s, as one elementwise expression.

On CPUs `jax.random` computes Threefry in a loop, to compile faster, and the loop passes over its arrays some fifty
times. For the perturbations of a large `theta` that is dear.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Threefry-2x32 with 20 rounds).
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, UInt32

__all__ = ["bits", "integer", "log_uniform", "normal", "stored_bits"]

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def bits(key: Key[Array, ""], shape: tuple[int, ...]) -> UInt32[Array, "*shape"]:
    """Random 32-bit words, those of `jax.random.bits`.

    Keys of other generators than Threefry, or of its older form that is not partitionable, are left to JAX.

    Args:
        key: a typed PRNG key.
        shape: of fewer than 2^32 words.

    >>> key = jax.random.key(0)
    >>> bool(jnp.all(bits(key, (5,)) == jax.random.bits(key, (5,))))
    True
    """
    if not _is_threefry(key):
        return jax.random.bits(key, shape, jnp.uint32)
    return _words(key, jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape))


def stored_bits(key: Key[Array, ""], num_words: int) -> UInt32[Array, " num_words"]:
    """`bits(key, (num_words,))`, to be used as indices: computed once and stored.

    XLA would compute the expression anew for every number that is gathered by it. It stores what a loop makes, here of
    two steps on CPUs; `jax.random.bits` has one of five, with many more operations to start.

    Args:
        key: a typed PRNG key; those that `bits` leaves to JAX are left to it here too.
        num_words: how many, >= 1 and below 2^32.

    >>> key = jax.random.key(0)
    >>> bool(jnp.all(stored_bits(key, 5) == jax.random.bits(key, (5,))))
    True
    """
    if jax.default_backend() != "cpu" or not _is_threefry(key):
        return jax.random.bits(key, (num_words,), jnp.uint32)
    halves = jax.lax.iota(jnp.uint32, num_words + num_words % 2).reshape(2, -1)
    return jax.lax.map(lambda half: _words(key, half), halves).reshape(-1)[:num_words]


def _is_threefry(key: Key[Array, ""]) -> bool:
    partitionable = jax.config.jax_threefry_partitionable  # pyright: ignore[reportAttributeAccessIssue] # made at run time
    return str(jax.random.key_impl(key)) == "threefry2x32" and partitionable


def _words(key: Key[Array, ""], counters: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """The words at some places of a key's stream."""
    words = jax.random.key_data(key)
    keys = (words[0], words[1], words[0] ^ words[1] ^ jnp.uint32(PARITY))
    x = jnp.broadcast_to(keys[0], counters.shape)
    y = counters + keys[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            x = x + y
            y = x ^ ((y << rotation) | (y >> (32 - rotation)))
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return x ^ y


def normal(key: Key[Array, ""], shape: tuple[int, ...], dtype: jnp.dtype) -> Float[Array, "*shape"]:
    """Standard normal numbers, those of `jax.random.normal`; other types than float32 are left to it.

    Args:
        key: a typed PRNG key.
        shape: of fewer than 2^32 numbers.
        dtype: of the result.
    """
    if dtype != jnp.float32:
        return jax.random.normal(key, shape, dtype)
    mantissa = (bits(key, shape) >> 9) | jnp.float32(1).view(jnp.uint32)
    low = jnp.nextafter(jnp.float32(-1), jnp.float32(0))
    uniform = jnp.maximum(low, (mantissa.view(jnp.float32) - 1) * (1 - low) + low)
    return jnp.float32(math.sqrt(2)) * jax.lax.erf_inv(uniform)


def integer(key: Key[Array, ""], low: int, high: int) -> Int[Array, ""]:
    """Uniform between `low` and `high`, both included. A single value is a constant: there is nothing to compile.

    >>> int(integer(jax.random.key(0), 3, 3))
    3
    """
    return jnp.int32(low) if low == high else jax.random.randint(key, (), low, high + 1)


def log_uniform(key: Key[Array, ""], low: float, high: float) -> Float[Array, ""]:
    """Log-uniform between `low` and `high`, both > 0. A single value is a constant, as for `integer`.

    >>> float(log_uniform(jax.random.key(0), 0.5, 0.5))
    0.5
    """
    if low == high:
        return jnp.float32(low)
    return jnp.exp(jax.random.uniform(key, minval=math.log(low), maxval=math.log(high)))
