"""Examples of a data set inside a compiled program: random ones, and always the same."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.tasks.base import Split
from heurax.tasks.datasets.data import DataSource
from heurax.tasks.datasets.loading import load_dataset

__all__ = ["MAX_EVALUATION", "draw", "first"]

MAX_EVALUATION = 2048
"""Examples in an evaluation batch at most, so that judging a model costs little beside training it."""

Examples = tuple[Float[Array, "batch features"], Int[Array, " batch"]]


def draw(dataset: str | DataSource, key: Key[Array, ""], batch_size: int, split: Split) -> Examples:
    """Inputs and labels, drawn uniformly with replacement."""
    data = load_dataset(dataset)
    index = jax.random.randint(key, (batch_size,), 0, len(data.labels[split]))
    return _as_floats(jnp.asarray(data.inputs[split])[index]), jnp.asarray(data.labels[split])[index]


def first(dataset: str | DataSource, split: Split) -> Examples:
    """Inputs and labels of a whole split, or of its first `MAX_EVALUATION` examples."""
    data = load_dataset(dataset)
    inputs, labels = (part[split][:MAX_EVALUATION] for part in (data.inputs, data.labels))
    return _as_floats(jnp.asarray(inputs)), jnp.asarray(labels)


def _as_floats(inputs: Array) -> Float[Array, "batch features"]:
    return inputs.astype(jnp.float32) / 255 if inputs.dtype == jnp.uint8 else inputs
