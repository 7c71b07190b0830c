"""The network of a learned optimizer: tiny, shared by all elements of a tensor, and where nearly all the time goes.

A network reads *channels*. They come packed: as arrays `[c, *shape]` whose first axis counts channels and whose other
axes broadcast to the tensor's. So do the units of hidden layers and the outputs.

Four ideas keep it fast without changing the equations:

- Row and column statistics keep their size-1 axes, so they enter the first layer as vectors, not as matrices.
- Normalising a channel by its root mean square and then multiplying by a weight is one multiplication by
  `weight / rms`. The normaliser is folded into the first layer.
- The root mean squares of all channels are one reduction, which XLA fuses with what computes the channels. They are
  computed again for the network: no array of shape [channels, elements] is ever stored.
- Layers up to `UNROLLED_WIDTH` are one elementwise expression, whose hidden units stay in registers. Those of wider
  layers are products of matrices, and large tensors go through them block by block, so that they stay in the cache.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from heurax.rules.optimizers import blocks

__all__ = [
    "Channels",
    "element_means",
    "init_linear",
    "init_mlp",
    "linear",
    "mean_squares",
    "mlp",
    "normalise",
    "normalised_linear",
    "normalised_mlp",
    "unpack",
]

Channels = Sequence[Float[Array, "_ ..."]]
Layer = tuple[Float[Array, "_ _"], Float[Array, " _"]]

UNROLLED_WIDTH = 8
"""Layers up to this width are unrolled into elementwise operations, which XLA fuses with the features; wider ones are
matrix products."""

WIDE_BLOCK = 8_192
"""Elements of a tensor that a network of wide layers works on at a time: 32 hidden units of them take 1 MB of cache,
and its products of matrices are large enough that sharing them out between the cores costs little. Sixteen lifetimes
side by side would take a quarter less time with an eighth of it."""

LARGEST_WIDE_BLOCK = 2_048
"""Elements of the largest tensors that such a network does not cut. One block of 16,384 takes XLA a third longer than
two of half of them."""

SHORT_VECTOR = 32
"""Elements of a row or column up to which XLA's products of matrices cost more to call than the sums they make."""

SHORT_ROW = 16
"""Elements of the last axis below which XLA's loops over a tensor spend most of their time at the ends of rows."""

MAX_SHORT_ROWS = 16_384
"""Elements of a tensor of short rows up to which its channels may be stored."""

MAX_SEQUENTIAL_SUM = 4_096
"""Terms that are added one after the other in float32: the rounding of a sum of squares stays near 1e-6."""


def init_linear(key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Weights `[..., fan_in, fan_out]`: normal, truncated at two standard deviations, std `1 / sqrt(fan_in)`."""
    return jax.random.truncated_normal(key, -2.0, 2.0, shape, jnp.float32) / jnp.sqrt(jnp.float32(shape[-2]))


def init_mlp(key: Key[Array, ""], sizes: Sequence[int]) -> dict[str, Array]:
    """Weights `w0, w1, ...` (see `init_linear`) and zero biases `b0, b1, ...` of a network with these layer sizes.

    >>> {name: leaf.shape for name, leaf in init_mlp(jax.random.key(0), (3, 4, 2)).items()}
    {'w0': (3, 4), 'b0': (4,), 'w1': (4, 2), 'b1': (2,)}
    """
    network = {}
    for layer, key_layer in enumerate(jax.random.split(key, len(sizes) - 1)):
        network[f"w{layer}"] = init_linear(key_layer, (sizes[layer], sizes[layer + 1]))
        network[f"b{layer}"] = jnp.zeros((sizes[layer + 1],), jnp.float32)
    return network


def normalise(x: Float[Array, "c *shape"], epsilon: float) -> Float[Array, "c *shape"]:
    """Divide each matrix (or vector) of a channel by its root mean square, `x / sqrt(epsilon + mean(x^2))`."""
    axes = tuple(range(1, x.ndim))[-2:]
    return x * jax.lax.rsqrt(epsilon + jnp.mean(jnp.square(x), axis=axes, keepdims=True))


def mean_squares(channels: Channels) -> Float[Array, " channels"]:
    """The mean over the tensor of the square of each channel, in order."""
    return element_means([jnp.square(channel) for channel in channels])


def element_means(channels: Channels) -> Float[Array, " channels"]:
    """The mean over the tensor of each channel, in order.

    A channel that broadcasts to the tensor repeats along its size-1 axes, so that its mean is that over its elements.
    """
    channels = _apart(channels)
    means: dict[int, Array] = {}
    for shape, group in _by_shape(channels).items():
        sums = tuple(channels[k] for k in group)
        for _ in shape:
            sums = _last_axis_sums(sums)
        means |= zip(group, sums, strict=True)
    sizes = np.array([math.prod(channel.shape[1:]) for channel in channels])
    return jnp.concatenate([means[k] for k in range(len(channels))]) / sizes.astype(channels[0].dtype)


@jax.custom_jvp
def _last_axis_sums(channels: tuple[Float[Array, "*shape n"], ...]) -> tuple[Float[Array, "*shape"], ...]:
    """The sum of each of several arrays of one shape over their last axis.

    As one reduction of several operands, XLA fuses it with all that computes them, and nothing of the tensor's size is
    written. It adds one after the other, so axes over `MAX_SEQUENTIAL_SUM` are left to XLA's more accurate trees.
    """
    if channels[0].shape[-1] > MAX_SEQUENTIAL_SUM:
        return tuple(jnp.sum(channel, axis=-1) for channel in channels)
    zeros = tuple(jnp.zeros([], channel.dtype) for channel in channels)
    axis = channels[0].ndim - 1
    return tuple(jax.lax.reduce(channels, zeros, lambda a, b: tuple(x + y for x, y in zip(a, b, strict=True)), (axis,)))


@_last_axis_sums.defjvp
def _last_axis_sums_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    """JAX does not differentiate reductions of several operands."""
    return _last_axis_sums(*primals), tuple(jnp.sum(tangent, axis=-1) for tangent in tangents[0])


def _by_shape(channels: Channels) -> dict[tuple[int, ...], list[int]]:
    """Positions of arrays whose channels have equal shapes, small shapes first."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for k in sorted(range(len(channels)), key=lambda k: math.prod(channels[k].shape[1:])):
        by_shape.setdefault(channels[k].shape[1:], []).append(k)
    return by_shape


def _apart(channels: Channels) -> list[Float[Array, "1 ..."]]:
    """One array per channel, the first axis kept."""
    return [part for channel in channels for part in jax.lax.split(channel, (1,) * len(channel))]


def linear(
    channels: Channels,
    weight: Float[Array, "inputs outputs"],
    bias: Float[Array, " outputs"],
    *,
    unroll: bool = True,
) -> Channels:
    """A linear layer, `y_j = bias_j + sum_k weight_kj f_k`.

    Args:
        channels: the inputs.
        weight: one row per input, one column per output.
        bias: one value per output; inputs that are constant over the tensor are best folded in here.
        unroll: whether layers up to `UNROLLED_WIDTH` are unrolled. Not where hidden units are averaged over the tensor:
            compiling `RNNMLP` at width 8 took over 20 GB, presumably because XLA repeats the network in every average.

    Returns:
        The outputs, of the tensor's shape.
    """
    rank = max(channel.ndim for channel in channels) - 1
    shape = jnp.broadcast_shapes(*(channel.shape[1:] for channel in channels))
    terms = [bias.reshape(-1, *(1,) * rank)]
    rows_of = jax.lax.split(weight, [len(channel) for channel in channels])
    for group_shape, group in _by_shape(channels).items():
        rows = weight if len(group) == len(channels) else jnp.concatenate([rows_of[k] for k in group])
        members = tuple(channels[k] for k in group)
        if group_shape == shape and unroll and weight.shape[1] <= UNROLLED_WIDTH and not _has_short_rows(shape):
            return list(_unrolled(tuple(terms), rows, members))
        terms.append(_product(rows, members))
    return [_sum(terms)]


def _has_short_rows(shape: tuple[int, ...]) -> bool:
    """Whether products of matrices beat unrolled layers: where rows fill no vector register, but the tensor many."""
    return len(shape) > 1 and shape[-1] < SHORT_ROW and math.prod(shape) <= MAX_SHORT_ROWS


@jax.custom_jvp
def _unrolled(
    terms: tuple[Array, ...], rows: Float[Array, "inputs outputs"], channels: tuple[Array, ...]
) -> tuple[Array, ...]:
    """`terms + rows^T channels` as elementwise operations, one array per output.

    Differentiated, it is a product of matrices: reverse mode would sum over the tensor once for each weight, and XLA
    would compute the channels again for each of the sums. The barrier around its transposed weights keeps XLA from
    transposing the channels instead, and a split is transposed to one concatenation, where slices are to many sums.
    """
    inputs = _apart(channels)
    shape = inputs[0].shape[1:]

    def spread(x: Array) -> Sequence[Array]:
        """Each number, row or column at the shape of the tensor: XLA takes far fewer operations than one by one."""
        return jax.lax.split(jnp.broadcast_to(x, (len(x), *shape)), (1,) * len(x))

    weights = spread(rows.reshape(-1, *(1,) * len(shape)))
    parts = [spread(term) for term in terms]
    num_outputs = rows.shape[1]
    return tuple(
        _sum([*(part[j] for part in parts), *(weights[k * num_outputs + j] * x for k, x in enumerate(inputs))])
        for j in range(num_outputs)
    )


@_unrolled.defjvp
def _unrolled_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    def product(terms: Any, rows: Any, channels: Any) -> tuple[Array, ...]:
        x = jnp.concatenate(channels)
        output = _sum([*terms, jnp.tensordot(jax.lax.optimization_barrier(rows.T), x, axes=(1, 0))])
        return tuple(jax.lax.split(output, (1,) * len(output)))

    return jax.jvp(product, primals, tangents)


def _product(rows: Float[Array, "inputs outputs"], channels: Channels) -> Float[Array, "outputs ..."]:
    """`rows^T channels` as a product of matrices, or, for a short row or column, of sums."""
    x = jnp.concatenate(channels)
    if math.prod(x.shape[1:]) <= SHORT_VECTOR:
        return jnp.sum(rows.T.reshape(*rows.shape[::-1], *(1,) * (x.ndim - 1)) * x[None], axis=1)
    return jnp.tensordot(rows, x, axes=(0, 0))


def mlp(hidden: Channels, layers: Sequence[Layer], *, unroll: bool = True) -> Channels:
    """The rest of a network: ReLU, then linear, for each of the remaining layers.

    Args:
        hidden: pre-activations of the first hidden layer.
        layers: `(weight, bias)` of each following layer.
        unroll: see `linear`.
    """
    for weight, bias in layers:
        hidden = linear([jax.nn.relu(h) for h in hidden], weight, bias, unroll=unroll)
    return hidden


def unpack(channels: Channels) -> list[Float[Array, "..."]]:
    """One array per channel."""
    return [part[0] for part in _apart(channels)]


def normalised_linear(
    channels: Channels,
    weight: Float[Array, "inputs outputs"],
    bias: Float[Array, " outputs"],
    epsilon: float,
    *,
    unroll: bool = True,
) -> Channels:
    """A linear layer over channels that are each divided by their root mean square over the tensor.

    `y_j = bias_j + sum_k weight_kj f_k / sqrt(epsilon + mean(f_k^2))`; for the arguments see `linear`.
    """
    return linear(channels, weight * jax.lax.rsqrt(epsilon + mean_squares(channels))[:, None], bias, unroll=unroll)


def normalised_mlp(
    channels_fn: Callable[[Any], Channels],
    inputs: Any,
    layers: Sequence[Layer],
    epsilon: float,
    *,
    per_matrix: bool = False,
) -> list[Float[Array, "..."]]:
    """A ReLU network on channels that are each divided by their root mean square over the tensor.

    Args:
        channels_fn: maps `inputs` to the channels; elementwise.
        inputs: a tree of arrays that broadcast to the tensor's shape, with or without further axes in front.
        layers: `(weight, bias)` of each layer.
        epsilon: added to the mean square.
        per_matrix: take the mean over the last two axes only, for each matrix of a stack on its own.

    Returns:
        One array per output, of the tensor's shape.
    """
    channels = channels_fn(inputs)
    rank = max(channel.ndim for channel in channels) - 1
    if per_matrix and rank > 2:
        return unpack(mlp(linear([normalise(f, epsilon) for f in channels], *layers[0]), layers[1:]))
    scales = jax.lax.rsqrt(epsilon + mean_squares(channels))
    wide = max(weight.shape[1] for weight, _ in layers) > UNROLLED_WIDTH
    first, *rest = _scaled(scales, layers) if wide else _scaled_together(scales, layers)

    def network(inputs: Any) -> Channels:
        if wide:
            return list(_wide_mlp(tuple(channels_fn(inputs)), (first, *rest)))
        return mlp(linear(channels_fn(inputs), *first), rest)

    shape = jnp.broadcast_shapes(*(channel.shape[1:] for channel in channels))
    # The barrier keeps XLA from storing the channels to use them again.
    inputs = jax.lax.optimization_barrier(inputs)
    if wide:
        return unpack(
            blocks.map_blocks(network, inputs, shape, block_size=WIDE_BLOCK, largest_block=LARGEST_WIDE_BLOCK)
        )
    return unpack(network(inputs))


def _scaled(scales: Float[Array, " inputs"], layers: Sequence[Layer]) -> list[Layer]:
    """Layers of which the first multiplies its inputs by `scales`."""
    (weight, bias), *rest = layers
    return [(weight * scales[:, None], bias), *rest]


def _scaled_together(scales: Float[Array, " inputs"], layers: Sequence[Layer]) -> list[Layer]:
    """The same, all weights and biases cut from one array, which XLA computes before it uses them.

    What uses them then does not depend on where each tensor's came from: XLA compiles it once for all tensors of equal
    shape, even if each has a network of its own.
    """
    parts = [part for layer in layers for part in layer]
    sizes = [part.size for part in parts]
    factors = jnp.concatenate([jnp.repeat(scales, layers[0][1].size), jnp.ones(sum(sizes[1:]), scales.dtype)])
    together = jnp.concatenate([part.reshape(-1) for part in parts]) * factors
    cut = [x.reshape(part.shape) for x, part in zip(jax.lax.split(together, sizes), parts, strict=True)]
    return list(zip(cut[::2], cut[1::2], strict=True))


@jax.custom_jvp
def _wide_mlp(channels: tuple[Array, ...], layers: tuple[Layer, ...]) -> tuple[Array, ...]:
    """A ReLU network with wide layers.

    Differentiated, its arrays are matrices with a row per element: that is the order in which reverse mode finds the
    operands of its products without transposing them.
    """
    return _narrow_apart(mlp(linear(channels, *layers[0]), layers[1:], unroll=False))


@_wide_mlp.defjvp
def _wide_mlp_jvp(primals: Any, tangents: Any) -> tuple[Any, Any]:
    def elements_first(channels: tuple[Array, ...], layers: tuple[Layer, ...]) -> tuple[Array, ...]:
        shape = jnp.broadcast_shapes(*(channel.shape[1:] for channel in channels))
        (weight, bias), *rest = layers
        rows_of = jax.lax.split(weight, [len(channel) for channel in channels])
        terms = []
        for group in _by_shape(channels).values():
            rows = jnp.concatenate([rows_of[k] for k in group])
            x = jnp.concatenate([channels[k] for k in group])
            if x.shape[1:] == shape:
                terms.append(jax.lax.optimization_barrier(x.reshape(len(x), -1).T) @ rows)
            else:
                term = jnp.tensordot(x, rows, axes=(0, 0))
                terms.append(jnp.broadcast_to(term, (*shape, term.shape[-1])).reshape(-1, term.shape[-1]))
        hidden = _sum([*terms, _bias(bias, terms[-1])])
        for weight, bias in rest:
            product = _narrow_product if weight.shape[1] <= UNROLLED_WIDTH else jnp.matmul
            hidden = product(jax.nn.relu(hidden), weight) + _bias(bias, hidden)
        return _narrow_apart([hidden.T.reshape(-1, *shape)])

    return jax.jvp(elements_first, primals, tangents)


def _narrow_apart(outputs: Channels) -> tuple[Array, ...]:
    """Few outputs one by one, many together, whatever computed them."""
    return tuple(outputs) if sum(map(len, outputs)) > UNROLLED_WIDTH else tuple(_apart(outputs))


def _bias(bias: Float[Array, " outputs"], like: Float[Array, "elements _"]) -> Float[Array, "elements outputs"]:
    """The bias of every element.

    A product, whose transpose is one as well: it sums over elements faster than XLA's reductions do. The ones come from
    an array, so that they get its batch axes under `vmap`; else the product would sum a transposed copy.
    """
    ones = jnp.ones_like(like[:, :1])
    return jnp.where(like[:, :1] > 0, ones, ones) @ bias[None]


@jax.custom_jvp
def _narrow_product(
    x: Float[Array, "elements inputs"], weight: Float[Array, "inputs outputs"]
) -> Float[Array, "elements outputs"]:
    """`x @ weight`, for few outputs."""
    return x @ weight


@_narrow_product.defjvp
def _narrow_product_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    """The transpose is elementwise with respect to `x`, and has the long axis last with respect to `weight`."""
    (x, weight), (x_dot, weight_dot) = primals, tangents
    by_x = jnp.stack([jnp.sum(x_dot * weight[None, :, j], axis=1) for j in range(weight.shape[1])], axis=1)
    by_weight = jnp.tensordot(jax.lax.optimization_barrier(weight_dot.T), x, axes=(1, 1)).T
    return x @ weight, by_x + by_weight


def _sum(terms: Iterable[Array]) -> Array:
    """Add arrays from left to right, without the integer 0 that `sum` begins with."""
    return functools.reduce(operator.add, terms)
