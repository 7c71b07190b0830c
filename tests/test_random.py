"""Random numbers are those of `jax.random`, and there are none where there is no choice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax import random
from heurax.tasks import ImageMLP


@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4)])
def test_numbers_are_those_of_jax(shape):
    keys = jax.random.split(jax.random.key(3), 4)
    words = jax.jit(jax.vmap(lambda key: random.bits(key, shape)))(keys)
    np.testing.assert_array_equal(words, jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint32))(keys))
    numbers = jax.jit(jax.vmap(lambda key: random.normal(key, shape, jnp.dtype("float32"))))(keys)
    # jax.random and the expression are compiled apart, and may round the inverse error function differently
    np.testing.assert_allclose(numbers, jax.vmap(lambda key: jax.random.normal(key, shape))(keys), rtol=1e-6)


@pytest.mark.parametrize("num_words", [1, 6, 7])
def test_stored_words_are_the_same(num_words):
    keys = jax.random.split(jax.random.key(3), 4)
    words = jax.jit(jax.vmap(lambda key: random.stored_bits(key, num_words)))(keys)
    np.testing.assert_array_equal(words, jax.vmap(lambda key: random.bits(key, (num_words,)))(keys))


def test_other_generators_and_types_are_left_to_jax():
    key = jax.random.key(0, impl="rbg")
    np.testing.assert_array_equal(random.bits(key, (3,)), jax.random.bits(key, (3,), jnp.uint32))
    np.testing.assert_array_equal(random.stored_bits(key, 3), jax.random.bits(key, (3,), jnp.uint32))
    half = random.normal(jax.random.key(0), (3,), jnp.dtype("bfloat16"))
    np.testing.assert_array_equal(half, jax.random.normal(jax.random.key(0), (3,), jnp.bfloat16))


def test_ranges_are_covered_and_single_values_are_constants():
    keys = jax.random.split(jax.random.key(5), 2000)
    integers = jax.vmap(lambda key: random.integer(key, 2, 4))(keys)
    np.testing.assert_allclose(np.bincount(integers, minlength=5)[2:] / 2000, [1 / 3] * 3, atol=0.04)
    numbers = jax.vmap(lambda key: random.log_uniform(key, 0.1, 10.0))(keys)
    assert 0.1 <= numbers.min() < 0.11
    assert 9 < numbers.max() <= 10
    np.testing.assert_allclose(np.median(numbers), 1, atol=0.2)
    constant = jax.make_jaxpr(lambda key: (random.integer(key, 3, 3), random.log_uniform(key, 0.5, 0.5)))(keys[0])
    assert not constant.eqns


def test_a_task_without_choices_draws_nothing():
    family = ImageMLP(width=(32, 32), depth=(1, 1), activations=("relu",))
    assert "random_bits" not in str(jax.make_jaxpr(family.sample)(jax.random.key(0)))
