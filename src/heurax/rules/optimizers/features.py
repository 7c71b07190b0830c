"""Features of a tensor that learned optimizers read, written once for all of them.

Every per-parameter learned optimizer is the same machine: *accumulators* follow the gradient of one tensor, *channels*
are elementwise functions of gradient, parameter and accumulators, and a tiny network, shared by all elements, maps
the channels of an element to its update. This module holds the three parts; a rule chooses decays, channels and
network.

Two ideas keep it fast without changing the equations:

- A channel is any array that *broadcasts* to the tensor. Row and column statistics keep their size-1 axes, so they
  enter the first layer as vectors, not as matrices.
- Normalising a channel by its root mean square and then multiplying by a weight is one multiplication by
  `weight / rms`. `normalised_linear` folds the normaliser into the first layer, and no array of shape
  [elements, channels] is ever formed.

Source of the equations: google/learned_optimization (Metz et al. 2022, arXiv:2203.11860); the orders of operations are
those of its code.
"""

import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

__all__ = [
    "FactoredMoment",
    "adam_direction",
    "cast",
    "clip_gradient",
    "decay_adam_moments",
    "decay_moments",
    "factored_axes",
    "factored_scales",
    "fraction_embedding",
    "init_factored",
    "init_linear",
    "init_mlp",
    "init_moments",
    "linear",
    "log_feature",
    "mlp",
    "normalise",
    "normalised_linear",
    "path_name",
    "safe_rsqrt",
    "state_dtype",
    "tanh_embedding",
    "tensor_rows",
    "tree_dtype",
    "update_factored",
    "update_tensors",
]

TANH_TIMESCALES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
FRACTIONS = (0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)

UNROLLED_WIDTH = 8
"""Layers up to this width are unrolled into elementwise operations, which XLA fuses with the features; wider ones are
matrix products."""


def state_dtype(leaf: Array) -> jnp.dtype:
    """The dtype in which a leaf's accumulators live and its features are computed: float32, or float64 for float64."""
    return jnp.dtype(jnp.float64 if leaf.dtype == jnp.float64 else jnp.float32)


def tree_dtype(tree: Any) -> jnp.dtype:
    """The dtype of computations that concern all leaves of a tree: float64 if any leaf is float64, else float32."""
    dtypes = [state_dtype(leaf) for leaf in jax.tree.leaves(tree)]
    return max(dtypes, key=lambda dtype: dtype.itemsize, default=jnp.dtype(jnp.float32))


def cast(tree: Any, dtype: jnp.dtype) -> Any:
    """All leaves of a tree in one dtype."""
    return jax.tree.map(lambda x: x.astype(dtype), tree)


def path_name(path: Any) -> str:
    """The `/`-joined name of a leaf, from a path of `jax.tree_util`."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def tensor_rows(params: Any, *trees: Any) -> list[tuple[Any, ...]]:
    """For each leaf of `params`, in order, what belongs to it in each of `trees`."""
    treedef = jax.tree.structure(params)
    return list(zip(*(treedef.flatten_up_to(tree) for tree in trees), strict=True))


def update_tensors(function: Callable[..., tuple[Any, Any]], params: Any, *trees: Any) -> tuple[Any, Any]:
    """Update every tensor of a tree on its own.

    Args:
        function: maps a parameter, and what belongs to it in each of `trees`, to its update and its new state.
        params: the tree of parameters.
        trees: each of the structure of `params`, with any subtree in the place of a leaf.

    Returns:
        The updates and the new states, two trees of the structure of `params`.
    """
    treedef = jax.tree.structure(params)
    results = [function(*row) for row in tensor_rows(params, params, *trees)]
    return treedef.unflatten([delta for delta, _ in results]), treedef.unflatten([state for _, state in results])


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
    return jnp.zeros((num_decays, *param.shape), state_dtype(param))


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
    dtype = state_dtype(param)
    return FactoredMoment(jnp.zeros((num_decays, *row_shape), dtype), jnp.zeros((num_decays, *col_shape), dtype))


def update_factored(
    moment: FactoredMoment, gradient: Float[Array, "*shape"], decays: Float[Array, " decays"]
) -> FactoredMoment:
    """Add a gradient to a factored second moment: averages of `g^2 + 1e-30` over its largest two axes."""
    square = gradient**2 + 1e-30
    axes = factored_axes(gradient.shape)
    if axes is None or moment.col is None:
        return FactoredMoment(decay_moments(moment.row, square, decays), None)
    d1, d0 = axes
    row = decay_moments(moment.row, jnp.mean(square, axis=d0, keepdims=True), decays)
    col = decay_moments(moment.col, jnp.mean(square, axis=d1, keepdims=True), decays)
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


# --- network ----------------------------------------------------------------------------------------------------------


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


def normalise(x: Float[Array, "*shape"], epsilon: float) -> Float[Array, "*shape"]:
    """Divide by the root mean square over the last two axes (all axes of a vector): `x / sqrt(epsilon + mean(x^2))`."""
    axes = tuple(range(x.ndim))[-2:]
    return x * jax.lax.rsqrt(epsilon + jnp.mean(jnp.square(x), axis=axes, keepdims=True))


def normalised_linear(
    channels: Sequence[Float[Array, "..."]],
    weight: Float[Array, "channels width"],
    bias: Float[Array, " width"],
    epsilon: float,
    *,
    per_matrix: bool = False,
    unroll: bool = True,
) -> list[Float[Array, "..."]]:
    """A linear layer over channels that are each divided by their root mean square over the whole tensor.

    `y_j = bias_j + sum_k weight_kj f_k / sqrt(epsilon + mean(f_k^2))`.

    Args:
        channels: arrays of equal rank that broadcast to the tensor's shape. Since a channel repeats along its size-1
            axes, the mean over the tensor is the mean over the array.
        weight: first-layer weights of these channels.
        bias: one value per output; inputs that are constant over the tensor are best folded in here.
        epsilon: added to the mean square.
        per_matrix: take the mean over the last two axes only, for each matrix of a stack on its own.
        unroll: whether layers up to `UNROLLED_WIDTH` are. Not where outputs of hidden layers are averaged over the
            tensor: compiling `RNNMLP` at width 8 took over 20 GB, presumably because XLA repeats the network in every
            average.

    Returns:
        One array per output, each broadcastable to the tensor's shape.
    """
    if per_matrix and channels[0].ndim > 2:
        channels = [normalise(f, epsilon) for f in channels]
    else:
        mean_squares = jnp.stack([jnp.mean(jnp.square(f)) for f in channels])
        weight = weight * jax.lax.rsqrt(epsilon + mean_squares)[:, None]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for k, f in enumerate(channels):
        by_shape.setdefault(f.shape, []).append(k)

    if unroll and weight.shape[1] <= UNROLLED_WIDTH:

        def output(j: int) -> Array:
            # Small arrays (rows, columns) are summed first, then broadcast once.
            terms = [_sum(weight[k, j] * channels[k] for k in ks) for ks in by_shape.values()]
            return _sum([bias[j], *sorted(terms, key=lambda term: term.size)])

        return [output(j) for j in range(weight.shape[1])]

    blocks = [
        jnp.tensordot(weight[jnp.asarray(ks)], jnp.stack([channels[k] for k in ks]), axes=(0, 0))
        for ks in by_shape.values()
    ]
    total = _sum(sorted(blocks, key=lambda block: block.size))
    total = total + bias.reshape(-1, *(1,) * (total.ndim - 1))
    return list(total)


def mlp(
    hidden: Sequence[Float[Array, "..."]],
    layers: Sequence[tuple[Float[Array, "_ _"], Float[Array, " _"]]],
    *,
    unroll: bool = True,
) -> list[Float[Array, "..."]]:
    """The rest of the network: ReLU, then linear, for each of the remaining layers.

    Args:
        hidden: pre-activations of the first hidden layer, one array per unit (see `normalised_linear`).
        layers: `(weight, bias)` of each following layer.
        unroll: see `normalised_linear`.

    Returns:
        One array per output unit.
    """
    for weight, bias in layers:
        hidden = linear([jax.nn.relu(h) for h in hidden], weight, bias, unroll=unroll)
    return list(hidden)


def linear(
    channels: Sequence[Float[Array, "..."]],
    weight: Float[Array, "channels width"],
    bias: Float[Array, " width"],
    *,
    unroll: bool = True,
) -> list[Float[Array, "..."]]:
    """A linear layer over channels: `y_j = bias_j + sum_k weight_kj f_k`, one array per output."""
    if unroll and max(weight.shape) <= UNROLLED_WIDTH:
        return [_sum([bias[j], *(weight[k, j] * f for k, f in enumerate(channels))]) for j in range(weight.shape[1])]
    stacked = jnp.tensordot(weight, jnp.stack(jnp.broadcast_arrays(*channels)), axes=(0, 0))
    return list(stacked + bias.reshape(-1, *(1,) * (stacked.ndim - 1)))


def _sum(terms: Iterable[Array]) -> Array:
    """Add arrays from left to right, without the integer 0 that `sum` begins with."""
    return functools.reduce(operator.add, terms)
