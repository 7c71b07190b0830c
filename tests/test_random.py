"""Random numbers are those of `jax.random`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax import random


@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4)])
def test_numbers_are_those_of_jax(shape):
    keys = jax.random.split(jax.random.key(3), 4)
    words = jax.jit(jax.vmap(lambda key: random.bits(key, shape)))(keys)
    np.testing.assert_array_equal(words, jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint32))(keys))
    numbers = jax.jit(jax.vmap(lambda key: random.normal(key, shape, jnp.dtype("float32"))))(keys)
    # jax.random and the expression are compiled apart, and may round the inverse error function differently
    np.testing.assert_allclose(numbers, jax.vmap(lambda key: jax.random.normal(key, shape))(keys), rtol=1e-6)


def test_other_generators_and_types_are_left_to_jax():
    key = jax.random.key(0, impl="rbg")
    np.testing.assert_array_equal(random.bits(key, (3,)), jax.random.bits(key, (3,), jnp.uint32))
    half = random.normal(jax.random.key(0), (3,), jnp.dtype("bfloat16"))
    np.testing.assert_array_equal(half, jax.random.normal(jax.random.key(0), (3,), jnp.bfloat16))
