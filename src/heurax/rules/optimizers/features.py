"""What learned optimizers read: accumulators that follow the gradient of a tensor, and features of the step count.

Every per-parameter learned optimizer is the same machine: *accumulators* follow the gradient of one tensor, *channels*
are elementwise functions of gradient, parameter and accumulators, and a tiny network, shared by all elements, maps
the channels of an element to its update. This module holds the accumulators, `networks` the network, and `tensors` what
takes a tree apart; a rule chooses decays, channels and layers.

Source of the equations: google/learned_optimization (Metz et al. 2022, arXiv:2203.11860); the orders of operations are
those of its code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from heurax.rules.optimizers import tensors

__all__ = [
    "FactoredMoment",
    "adam_direction",
    "clip_gradient",
    "decay_adam_moments",
    "decay_moments",
    "factored_axes",
    "factored_scales",
    "fraction_embedding",
    "init_factored",
    "init_moments",
    "log_feature",
    "safe_rsqrt",
    "tanh_embedding",
    "update_factored",
]

TANH_TIMESCALES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
FRACTIONS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)


def safe_rsqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`1 / sqrt(max(x, 1e-9))`."""
    return jax.lax.rsqrt(jnp.maximum(x, 1e-9))


def tanh_embedding(count: Int[Array, ""], dtype: jnp.dtype) -> Float[Array, " 11"]:
    """Squash the number of updates made so far: `tanh(t / tau - 1)` at 11 time scales `tau` from 1 to 100,000.

    >>> [round(float(x), 2) for x in tanh_embedding(jnp.int32(3), jnp.dtype("float32"))[:3]]
    [0.96, 0.0, -0.6]
    """
    return jnp.tanh(count.astype(dtype) / jnp.asarray(TANH_TIMESCALES, dtype) - 1)


def fraction_embedding(count: Int[Array, ""], num_steps: int, dtype: jnp.dtype) -> Float[Array, " 9"]:
    """Where in its training run a learner is: `tanh(10 (t / num_steps - s))` at 9 fractions `s` from 0.03 to 1.1.

    >>> [round(float(x), 2) for x in fraction_embedding(jnp.int32(10), 100, jnp.dtype("float32"))[:3]]
    [0.6, 0.0, -0.76]
    """
    fraction = count.astype(dtype) / jnp.asarray(num_steps, dtype)
    return jnp.tanh(10 * (fraction - jnp.asarray(FRACTIONS, dtype)))


def log_feature(x: Float[Array, "*shape"], scale: float = 1.0) -> Float[Array, "*shape"]:
    """Order of magnitude, squashed: `clip(log(1e-8 + |scale x|), -5, 5)`."""
    return jnp.clip(jnp.log(1e-8 + jnp.abs(scale * x)), -5, 5)


def clip_gradient(gradient: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Each element clipped to [-1000, 1000]."""
    return jnp.clip(gradient, -1000, 1000)


# --- accumulators -----------------------------------------------------------------------------------------------------


def init_moments(param: Array, num_decays: int) -> Float[Array, "decays *shape"]:
    """Zeroed moments of one tensor, one slice per decay."""
    return jnp.zeros((num_decays, *param.shape), tensors.state_dtype(param))


def decay_moments(
    moments: Float[Array, "decays *shape"], value: Float[Array, "*shape"], decays: Float[Array, " decays"]
) -> Float[Array, "decays *shape"]:
    """Exponential moving averages `m <- b m + (1 - b) x`, one per decay `b`, without bias correction."""
    b = decays.reshape(-1, *(1,) * value.ndim)
    return b * moments + (1 - b) * value[None]


def decay_adam_moments(
    moments: Float[Array, "2 *shape"],
    gradient: Float[Array, "*shape"],
    beta1: Float[Array, ""] | float,
    beta2: Float[Array, ""] | float,
) -> Float[Array, "2 *shape"]:
    """Adam's two moments in one array, first that of `g` and then that of `g^2`, without bias correction."""
    decays = jnp.asarray((beta1, beta2), moments.dtype).reshape(2, *(1,) * gradient.ndim)
    return decays * moments + (1 - decays) * jnp.stack([gradient, jnp.square(gradient)])


def adam_direction(
    moments: Float[Array, "2 *shape"],
    count: Int[Array, ""],
    beta1: Float[Array, ""] | float,
    beta2: Float[Array, ""] | float,
    *,
    epsilon: Float[Array, ""] | float,
    root_epsilon: float,
) -> Float[Array, "*shape"]:
    """`m_hat / (sqrt(v_hat + root_epsilon) + epsilon)`, bias-corrected for `count` updates before the last one."""
    num_updates = (count + 1).astype(moments.dtype)
    m_hat, v_hat = (
        moment / (1 - jnp.asarray(beta, moments.dtype) ** num_updates)
        for moment, beta in zip(moments, (beta1, beta2), strict=True)
    )
    return m_hat / (jnp.sqrt(v_hat + root_epsilon) + epsilon)


class FactoredMoment(NamedTuple):
    """Adafactor's second moment of one tensor: row and column averages of `g^2` (Shazeer and Stern 2018).

    The averaged axis is kept with size 1, so that both broadcast to `[decays, *shape]`. Tensors with fewer than two
    axes have nothing to factor: `row` is then the full second moment and `col` is None.
    """

    row: Float[Array, "decays *row_shape"]
    col: Float[Array, "decays *col_shape"] | None


def factored_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """The axes that a tensor is factored over, `(d1, d0)`: its second-largest and its largest one.

    Among axes of equal length the later one counts as larger. None for fewer than two axes.

    >>> factored_axes((3, 3, 4, 6)), factored_axes((5, 5)), factored_axes((7,))
    ((2, 3), (0, 1), None)
    """
    if len(shape) < 2:
        return None
    d1, d0 = sorted(range(len(shape)), key=lambda axis: shape[axis])[-2:]
    return d1, d0


def init_factored(param: Array, num_decays: int) -> FactoredMoment:
    """Zeroed factored second moment of one tensor."""
    axes = factored_axes(param.shape)
    if axes is None:
        return FactoredMoment(init_moments(param, num_decays), None)
    d1, d0 = axes
    row_shape = [1 if axis == d0 else size for axis, size in enumerate(param.shape)]
    col_shape = [1 if axis == d1 else size for axis, size in enumerate(param.shape)]
    dtype = tensors.state_dtype(param)
    return FactoredMoment(jnp.zeros((num_decays, *row_shape), dtype), jnp.zeros((num_decays, *col_shape), dtype))


def update_factored(
    moment: FactoredMoment, gradient: Float[Array, "*shape"], decays: Float[Array, " decays"]
) -> FactoredMoment:
    """Add a gradient to a factored second moment: averages of `g^2 + 1e-30` over its largest two axes."""
    square = jnp.square(gradient)
    axes = factored_axes(gradient.shape)
    if axes is None or moment.col is None:
        return FactoredMoment(decay_moments(moment.row, square + 1e-30, decays), None)
    d1, d0 = axes
    row = decay_moments(moment.row, jnp.mean(square, axis=d0, keepdims=True) + 1e-30, decays)
    col = decay_moments(moment.col, jnp.mean(square, axis=d1, keepdims=True) + 1e-30, decays)
    return FactoredMoment(row, col)


def factored_scales(moment: FactoredMoment) -> tuple[Float[Array, "decays *row"], Float[Array, "decays *col"]]:
    """Row and column factors whose product scales a gradient to unit variance, for a factored moment.

    `row_scale = rsqrt(max(row / (mean(row) + 1e-9), 1e-9))`, `col_scale = rsqrt(max(col, 1e-9))`; the mean is over the
    second-largest axis of the tensor.
    """
    assert moment.col is not None
    shape = jnp.broadcast_shapes(moment.row.shape[1:], moment.col.shape[1:])
    axes = factored_axes(shape)
    assert axes is not None
    row_mean = jnp.mean(moment.row, axis=axes[0] + 1, keepdims=True)
    return safe_rsqrt(moment.row / (row_mean + 1e-9)), safe_rsqrt(moment.col)
