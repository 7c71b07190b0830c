"""Momenta, second moments and Adafactor statistics of a tensor, and the channels that AdafacMLP, VeLO and Celo read."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.optimizers import features

__all__ = [
    "CHANNELS",
    "NUM_CHANNELS",
    "NUM_VECTOR_CHANNELS",
    "Accumulators",
    "Decays",
    "init_accumulators",
    "ordered_channels",
    "tensor_channels",
    "update_accumulators",
]

CHANNELS = {
    "gradient": 1,
    "clipped_gradient": 1,
    "param": 1,
    "momentum": 3,
    "second_moment": 1,
    "scaled_momentum": 3,
    "rsqrt": 1,
    "factored_gradient": 3,
    "scaled_gradient": 1,
    "row": 3,
    "col": 3,
    "row_rsqrt": 3,
    "col_rsqrt": 3,
    "factored_momentum": 3,
}
"""Groups of channels, in the order of the first-layer weights of VeLO, Celo and Celo2, and their sizes with three
momenta, one second moment and three factored ones."""

NUM_CHANNELS = sum(CHANNELS.values())

NUM_VECTOR_CHANNELS = 15
"""Channels before the row and column statistics, which mean nothing for a vector."""


class Decays(NamedTuple):
    """Decays of the accumulators of a tensor."""

    momentum: Sequence[float] = (0.9, 0.99, 0.999)
    second_moment: Sequence[float] = (0.999,)
    factored: Sequence[float] = (0.9, 0.99, 0.999)


class Accumulators(NamedTuple):
    """What is remembered about the gradients of one tensor."""

    momentum: Float[Array, "m *shape"]
    second_moment: Float[Array, "v *shape"]
    factored: features.FactoredMoment


def init_accumulators(param: Array, decays: Decays) -> Accumulators:
    """Zeroed accumulators of one tensor."""
    return Accumulators(
        momentum=features.init_moments(param, len(decays.momentum)),
        second_moment=features.init_moments(param, len(decays.second_moment)),
        factored=features.init_factored(param, len(decays.factored)),
    )


def update_accumulators(accumulators: Accumulators, gradient: Float[Array, "*shape"], decays: Decays) -> Accumulators:
    """Add a gradient, given in the accumulators' dtype."""
    momentum, second_moment, factored = (jnp.asarray(d, gradient.dtype) for d in decays)
    return Accumulators(
        momentum=features.decay_moments(accumulators.momentum, gradient, momentum),
        second_moment=features.decay_moments(accumulators.second_moment, gradient**2, second_moment),
        factored=features.update_factored(accumulators.factored, gradient, factored),
    )


def tensor_channels(
    g: Float[Array, "*shape"],
    p: Float[Array, "*shape"],
    accumulators: Accumulators,
    *,
    epsilon: float = 1e-6,
    vector_epsilon: float = 0.0,
) -> dict[str, Sequence[Float[Array, "..."]]]:
    """Groups of channels by name, from accumulators that have seen this gradient already.

    Args:
        g: the gradient.
        p: the parameter.
        accumulators: its accumulators.
        epsilon: added to second moments under the root.
        vector_epsilon: added under the root of the last group, for tensors that are not factored.

    Returns:
        For each name of `CHANNELS` its channels, arrays that broadcast to the tensor.
    """
    momentum, second_moment, factored = accumulators
    rsqrt = jax.lax.rsqrt(second_moment + epsilon)
    row, col = factored
    if col is None:
        col = row
        row_rsqrt = col_rsqrt = jax.lax.rsqrt(row + 1e-8)
        factored_gradient = g[None] * jax.lax.rsqrt(row + 1e-9)
        factored_momentum = momentum * jax.lax.rsqrt(row + vector_epsilon)
    else:
        row_rsqrt, col_rsqrt = jax.lax.rsqrt(row + 1e-8), jax.lax.rsqrt(col + 1e-8)
        row_scale, col_scale = features.factored_scales(factored)
        factored_gradient = g[None] * row_scale * col_scale
        factored_momentum = momentum * row_scale * col_scale
    return {
        "gradient": [g],
        "clipped_gradient": [jnp.clip(g, -0.1, 0.1)],
        "param": [p],
        "momentum": list(momentum),
        "second_moment": list(second_moment),
        "scaled_momentum": list(momentum * rsqrt),
        "rsqrt": list(rsqrt),
        "factored_gradient": list(factored_gradient),
        "scaled_gradient": list(g[None] * rsqrt),
        "row": list(row),
        "col": list(col),
        "row_rsqrt": list(row_rsqrt),
        "col_rsqrt": list(col_rsqrt),
        "factored_momentum": list(factored_momentum),
    }


def ordered_channels(
    groups: dict[str, Sequence[Float[Array, "..."]]], names: Iterable[str] = CHANNELS
) -> list[Float[Array, "..."]]:
    """The channels of the named groups as one list."""
    return [channel for name in names for channel in groups[name]]
