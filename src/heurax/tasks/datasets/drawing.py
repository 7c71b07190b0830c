"""Examples of a data set inside a compiled program: random ones, and always the same."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax import random
from heurax.tasks.base import Split
from heurax.tasks.datasets.data import DataSource
from heurax.tasks.datasets.loading import load_dataset

__all__ = ["MAX_EVALUATION", "draw", "draw_indices", "first"]

MAX_EVALUATION = 2048
"""Examples in an evaluation batch at most, so that judging a model costs little beside training it."""

Examples = tuple[Float[Array, "batch features"], Int[Array, " batch"]]


def draw(dataset: str | DataSource, key: Key[Array, ""], batch_size: int, split: Split) -> Examples:
    """Inputs and labels, drawn uniformly with replacement."""
    data = load_dataset(dataset)
    index = draw_indices(key, batch_size, len(data.labels[split]))
    return _as_floats(jnp.asarray(data.inputs[split])[index]), jnp.asarray(data.labels[split])[index]


def draw_indices(key: Key[Array, ""], batch_size: int, num_examples: int) -> Int[Array, " batch"]:
    """Indices below `num_examples`, uniform, with replacement.

    `floor(num_examples u / 2^32)` for random 32-bit words `u`: one draw, where `jax.random.randint` splits its key and
    draws twice, which takes a good part of a small model's step. No index is too probable by more than
    `num_examples / 2^32` of its probability.

    Source: Lemire 2019, arXiv:1805.10941, without the rejection.

    Args:
        key: a typed PRNG key.
        batch_size: how many.
        num_examples: below 2^31.
    """
    u = random.stored_bits(key, batch_size)
    high, low = u >> 16, u & 0xFFFF
    n_high, n_low = (jnp.uint32(part) for part in divmod(num_examples, 1 << 16))
    middle = high * n_low + (low * n_low >> 16)  # of the product's 48 highest bits; below 2^32
    rest = low * n_high + (middle & 0xFFFF)
    return (high * n_high + (middle >> 16) + (rest >> 16)).astype(jnp.int32)


def first(dataset: str | DataSource, split: Split) -> Examples:
    """Inputs and labels of a whole split, or of its first `MAX_EVALUATION` examples."""
    data = load_dataset(dataset)
    inputs, labels = (part[split][:MAX_EVALUATION] for part in (data.inputs, data.labels))
    return _as_floats(jnp.asarray(inputs)), jnp.asarray(labels)


def _as_floats(inputs: Array) -> Float[Array, "batch features"]:
    return inputs.astype(jnp.float32) / 255 if inputs.dtype == jnp.uint8 else inputs
