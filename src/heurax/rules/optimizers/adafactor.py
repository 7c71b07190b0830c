"""Momenta, second moments and Adafactor statistics of a tensor, and the channels that AdafacMLP, VeLO and Celo read."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.rules.optimizers import features

__all__ = [
    "CHANNELS",
    "NUM_CHANNELS",
    "VECTOR_CHANNELS",
    "Accumulators",
    "ChannelInputs",
    "Decays",
    "channel_inputs",
    "each",
    "init_accumulators",
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

VECTOR_CHANNELS = tuple(CHANNELS)[:9]
"""Groups of channels without row and column statistics, which mean nothing for a vector."""


class Decays(NamedTuple):
    """Decays of the accumulators of a tensor: sequences of numbers, or arrays where they are learned."""

    momentum: Any = (0.9, 0.99, 0.999)
    second_moment: Any = (0.999,)
    factored: Any = (0.9, 0.99, 0.999)


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
    momentum, second_moment, factored = (jnp.asarray(d).astype(gradient.dtype) for d in decays)
    return Accumulators(
        momentum=features.decay_moments(accumulators.momentum, gradient, momentum),
        second_moment=features.decay_moments(accumulators.second_moment, jnp.square(gradient), second_moment),
        factored=features.update_factored(accumulators.factored, gradient, factored),
    )


class ChannelInputs(NamedTuple):
    """What the channels of a tensor are elementwise functions of: arrays that broadcast to it, some per decay.

    `row_scale` and `col_scale` are those of `features.factored_scales`; like `col` they are None for a tensor that is
    not factored, whose `row` is a full second moment.
    """

    gradient: Float[Array, "*shape"]
    param: Float[Array, "*shape"]
    momentum: Float[Array, "m *shape"]
    second_moment: Float[Array, "1 *shape"]
    row: Float[Array, "f *row"]
    col: Float[Array, "f *col"] | None
    row_scale: Float[Array, "f *row"] | None
    col_scale: Float[Array, "f *col"] | None


def channel_inputs(
    gradient: Float[Array, "*shape"], param: Float[Array, "*shape"], accumulators: Accumulators
) -> ChannelInputs:
    """Inputs of `tensor_channels`, from accumulators that have seen this gradient already."""
    scales = (None, None) if accumulators.factored.col is None else features.factored_scales(accumulators.factored)
    momentum, second_moment, factored = accumulators
    return ChannelInputs(gradient, param, momentum, second_moment, *factored, *scales)


def tensor_channels(
    inputs: ChannelInputs,
    names: Iterable[str] = CHANNELS,
    *,
    epsilon: float = 1e-6,
    vector_epsilon: float = 0.0,
) -> list[Float[Array, "_ ..."]]:
    """The channels of some groups, packed as `networks` wants them.

    Args:
        inputs: what they are functions of.
        names: groups of `CHANNELS`, in the order in which their channels are wanted.
        epsilon: added to second moments under the root.
        vector_epsilon: added under the root of the last group, for tensors that are not factored.
    """
    g, p, row = inputs.gradient[None], inputs.param[None], inputs.row
    r = jax.lax.rsqrt(inputs.second_moment + epsilon)
    col = row if inputs.col is None else inputs.col
    if inputs.row_scale is None or inputs.col_scale is None:
        gradient_scales = jax.lax.rsqrt(row + 1e-9)
        momentum_scales = jax.lax.rsqrt(row + vector_epsilon)
    else:
        gradient_scales = momentum_scales = inputs.row_scale * inputs.col_scale
    momentum = inputs.momentum
    groups: dict[str, list[Array]] = {
        "gradient": [g],
        "clipped_gradient": [jnp.clip(g, -0.1, 0.1)],
        "param": [p],
        "momentum": [momentum],
        "second_moment": [inputs.second_moment],
        "scaled_momentum": [momentum * r],
        "rsqrt": [r],
        "factored_gradient": [g * gradient_scales],
        "scaled_gradient": [g * r],
        "row": [row],
        "col": [col],
        "row_rsqrt": [jax.lax.rsqrt(row + 1e-8)],
        "col_rsqrt": [jax.lax.rsqrt(col + 1e-8)],
        "factored_momentum": [momentum * momentum_scales],
    }
    return [channel for name in names for channel in groups[name]]


def each(*moments: Float[Array, "_ *shape"]) -> list[Float[Array, "1 *shape"]]:
    """One array per decay."""
    return [x[i : i + 1] for x in moments for i in range(len(x))]
