"""Open: a recurrent learned optimizer for reinforcement learning, with learned noise for the actor (Goldie 2024)."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import blocks, features, networks, tensors
from heurax.rules.optimizers.recurrent import gru, init_gru

__all__ = ["Open", "OpenState", "layer_proportions"]

MOMENTUM_DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
NUM_TENSOR_FEATURES = 3 + 2 * len(MOMENTUM_DECAYS)
NUM_FEATURES = NUM_TENSOR_FEATURES + 4
STEP_MULT = 0.001
EXP_MULT = 0.001

BLOCK_SIZE = 1_024
"""Elements of a tensor that are worked on at a time. One agent is a seventh faster with eight times as many, sixteen
side by side take twice as long."""

LARGEST_BLOCK = 16_384
"""Elements of the largest tensors that are not worked on block by block. Blocks are two to three times as fast where
the network's arrays exceed the cache; a population of agents with layers of 64 x 64 goes a seventh slower by them."""


class OpenState(NamedTuple):
    """State of `Open`: `[decays, *shape]` momenta and `[gru_size, *shape]` hidden states of each parameter."""

    count: Int[Array, ""]
    momentum: Any
    hidden: Any


@dataclass(frozen=True)
class Open(LearnedOptimizer):
    """A GRU per parameter, then an MLP h-h-3 with layer normalisation, whose updates have mean zero.

    The GRU reads 15 features of an element (parameter; sign and logarithm of gradient and of six momenta), each divided
    by its root mean square over the tensor, and 4 of its circumstances: how much of training is done, how deep its
    layer lies, which pass over the batch this is, and how active its unit is compared with the others of the layer.
    Of the three outputs

        u = 0.001 * o0 * exp(0.001 * o1) + actor * 0.001 * o2 * noise,    delta = -(u - mean(u)),

    where `actor` is 1 in the actor's tensors and 0 elsewhere, `noise` is standard normal, and the mean is taken over
    all elements of all tensors. `update` takes, besides `params`:

    - `key`: a typed key for the noise, or `noise`: a tree of numbers to use instead. Needed if there is an actor;
    - `activations`: a tree like `params` with mean absolute activations `[units]` of each tensor's layer. Without it,
      all units count as equally active;
    - `training_proportion`, in [0, 1]: by default updates done over `num_steps - 1`;
    - `batch_proportion`, in [0, 1]: which epoch over the same data this is; 0 by default.

    Source: Goldie et al. 2024, arXiv:2407.07082 (`GRU_Opt` of AlexGoldie/rl-learned-optimization, reproduced to float32
    rounding). Gradients are not clipped; the original clips their norm to 0.5 before.

    Args:
        hidden_size: width of both hidden layers; >= 1. 16 in the original, 32 in its multi-task variant.
        gru_size: size of the GRU; >= 1. 8 in the original, 16 in its multi-task variant.
        actor: regular expression, searched in `/`-joined paths, of the actor's tensors.

    >>> theta = Open().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    1211
    """

    hidden_size: int = 16
    gru_size: int = 8
    actor: str = "^actor"

    def __post_init__(self) -> None:
        for name in ("hidden_size", "gru_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        try:
            re.compile(self.actor)
        except re.error as error:
            raise ValueError(f"actor must be a regular expression, got {self.actor!r}: {error}") from error

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Input weights as in `networks.init_linear`, recurrent ones orthogonal, normalisation the identity."""
        key_gru, key_mlp = jax.random.split(key)
        size, width = self.gru_size, self.hidden_size
        norms = {f"scale{i}": jnp.ones((width,), jnp.float32) for i in range(2)}
        norms |= {f"offset{i}": jnp.zeros((width,), jnp.float32) for i in range(2)}
        return {
            "gru": init_gru(key_gru, NUM_FEATURES, size),
            "mlp": networks.init_mlp(key_mlp, (size, width, width, 3)) | norms,
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""

        def init(params: optax.Params) -> OpenState:
            return OpenState(
                count=jnp.zeros([], jnp.int32),
                momentum=jax.tree.map(lambda p: features.init_moments(p, len(MOMENTUM_DECAYS)), params),
                hidden=jax.tree.map(lambda p: features.init_moments(p, self.gru_size), params),
            )

        def update(
            updates: optax.Updates,
            state: Any,
            params: optax.Params | None = None,
            *,
            key: Key[Array, ""] | None = None,
            noise: Any = None,
            activations: Any = None,
            training_proportion: Any = None,
            batch_proportion: Any = 0.0,
            **extra_args: Any,
        ) -> tuple[optax.Updates, OpenState]:
            del extra_args  # unused: this rule does not look at the loss
            if params is None:
                raise ValueError("Open reads the parameters: call update(grads, state, params, key=key)")
            dtype = tensors.tree_dtype(params)
            if training_proportion is None:
                training_proportion = state.count.astype(dtype) / jnp.asarray(max(num_steps - 1, 1), dtype)
            if activations is None:
                activations = jax.tree.map(lambda p: jnp.ones(p.shape[-1:], tensors.state_dtype(p)), params)
            noise = self._noise(params, key, noise)
            times = jnp.stack([jnp.asarray(x).astype(dtype) for x in (training_proportion, batch_proportion)])

            def update_tensor(param: Array, *row: Any) -> tuple[Array, tuple[Array, Array]]:
                return _update_tensor(theta, times, param, *row)

            trees = (updates, state.momentum, state.hidden, layer_proportions(params), activations, noise)
            steps, states = tensors.update_tensors(update_tensor, params, *trees)
            size = sum(step.size for step in jax.tree.leaves(steps))
            total = sum((jnp.sum(step).astype(dtype) for step in jax.tree.leaves(steps)), jnp.zeros([], dtype))
            mean = total / max(size, 1)
            deltas = jax.tree.map(lambda step, p: (mean.astype(step.dtype) - step).astype(p.dtype), steps, params)
            momentum, hidden = (jax.tree.map(lambda _, s, i=i: s[i], params, states) for i in range(2))
            return deltas, OpenState(state.count + 1, momentum, hidden)

        return optax.GradientTransformationExtraArgs(init, update)

    def _noise(self, params: Any, key: Key[Array, ""] | None, noise: Any) -> Any:
        """Noise for each of the actor's tensors; 0 for the others."""
        actors = jax.tree.map_with_path(
            lambda path, _: re.search(self.actor, tensors.path_name(path)) is not None, params
        )
        if noise is None and key is None and any(jax.tree.leaves(actors)):
            raise ValueError(f"Open draws noise for the tensors of {self.actor!r}: call update(..., key=key)")
        if noise is None:
            leaves, treedef = jax.tree.flatten(params)
            key = jax.random.key(0) if key is None else key  # without an actor no number is used
            keys = treedef.unflatten(list(jax.random.split(key, max(len(leaves), 1)))[: len(leaves)])
            noise = jax.tree.map(lambda p, k: jax.random.normal(k, p.shape, tensors.state_dtype(p)), params, keys)
        return jax.tree.map(lambda is_actor, x: x if is_actor else jnp.zeros((1,) * x.ndim, x.dtype), actors, noise)


def layer_proportions(params: Any) -> Any:
    """How deep each tensor's layer lies in its network, from 0 to 1.

    Networks are told apart by the first component of a path, layers by all but the last; layers count in the order of
    their names, numbers in them as numbers.

    >>> layer_proportions({"actor/Dense_10/w": 1, "actor/Dense_2/w": 1, "critic/Dense_0/w": 1})
    {'actor/Dense_10/w': 1.0, 'actor/Dense_2/w': 0.0, 'critic/Dense_0/w': 0.0}
    """

    def parts(path: Any) -> tuple[str, str]:
        name = tensors.path_name(path)
        return name.split("/")[0], name.rpartition("/")[0]

    def natural(name: str) -> list[tuple[int, int | str]]:
        return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name)]

    layers: dict[str, list[str]] = {}
    for path, _ in jax.tree.leaves_with_path(params):
        network, layer = parts(path)
        layers.setdefault(network, []).append(layer)
    order = {network: sorted(set(names), key=natural) for network, names in layers.items()}

    def proportion(path: Any, _: Any) -> float:
        network, layer = parts(path)
        return order[network].index(layer) / max(len(order[network]) - 1, 1)

    return jax.tree.map_with_path(proportion, params)


def _update_tensor(
    theta: Any,
    times: Float[Array, " 2"],
    param: Float[Array, "*shape"],
    gradient: Float[Array, "*shape"],
    momentum: Float[Array, "m *shape"],
    hidden: Float[Array, "h *shape"],
    layer_proportion: Float[Array, ""] | float,
    activations: Float[Array, "..."],
    noise: Float[Array, "..."],
) -> tuple[Float[Array, "*shape"], tuple[Array, Array]]:
    """One tensor's step before its mean is subtracted, and its new momenta and hidden states."""
    dtype = tensors.state_dtype(param)
    theta = tensors.cast(theta, dtype)
    g, p, noise = gradient.astype(dtype), param.astype(dtype), noise.astype(dtype)
    momentum = features.decay_moments(momentum, g, jnp.asarray(MOMENTUM_DECAYS, dtype))
    dormancy = _dormancy(activations.astype(dtype)).reshape(1, *(1,) * (p.ndim - 1), *p.shape[-1:])

    theta_gru = theta["gru"]
    training_proportion, batch_proportion = times.astype(dtype)
    constants = jnp.stack([training_proportion, jnp.asarray(layer_proportion, dtype), batch_proportion])
    tensor_weight, constant_weight, dormancy_weight = jnp.split(
        theta_gru["input_w"], (NUM_TENSOR_FEATURES, NUM_FEATURES - 1)
    )
    bias = theta_gru["input_b"] + constants @ constant_weight
    norms = jax.lax.rsqrt(1e-5 + networks.mean_squares(_channels(p, g, momentum)))
    weight = jnp.concatenate([tensor_weight * norms[:, None], dormancy_weight])

    def network(part: tuple[Array, ...]) -> networks.Channels:
        p, g, momentum, dormancy, noise, hidden = part
        inputs = networks.linear([*_channels(p, g, momentum), dormancy], weight, bias)
        hidden = gru(theta_gru, jnp.concatenate(inputs), hidden)
        first, second, of_noise = networks.unpack(_mlp(theta["mlp"], hidden))
        step = STEP_MULT * (first * jnp.exp(EXP_MULT * second) + of_noise * noise)
        return [step[None], hidden]

    parts = (p, g, momentum, dormancy, noise, hidden)
    step, hidden = blocks.map_blocks(network, parts, p.shape, block_size=BLOCK_SIZE, largest_block=LARGEST_BLOCK)
    return step[0], (momentum, hidden)


def _channels(
    p: Float[Array, "*shape"], g: Float[Array, "*shape"], momentum: Float[Array, "m *shape"]
) -> networks.Channels:
    """What the GRU reads of an element, before it is normalised."""

    def log(x: Array) -> Array:
        return jnp.log(jnp.abs(x) + 1e-13)

    return [p[None], jnp.sign(momentum), log(momentum), jnp.sign(g)[None], log(g)[None]]


def _dormancy(activations: Float[Array, "..."]) -> Float[Array, "..."]:
    """Activation of each unit relative to the average over its layer."""
    shifted = activations + 1e-11
    return shifted / jnp.sum(jnp.abs(shifted)) * shifted.size


def _mlp(theta: Any, hidden: Float[Array, "h *shape"]) -> networks.Channels:
    """Two hidden layers, each normalised over its units, and three outputs.

    The mean over units is taken from the weights, before they meet any element.
    """
    for i in range(2):
        weight, bias = theta[f"w{i}"], theta[f"b{i}"]
        weight, bias = weight - jnp.mean(weight, axis=1, keepdims=True), bias - jnp.mean(bias)
        centred = jnp.concatenate(networks.linear([hidden], weight, bias))
        normalised = centred * jax.lax.rsqrt(jnp.mean(jnp.square(centred), axis=0, keepdims=True) + 1e-6)
        shape = (-1, *(1,) * (hidden.ndim - 1))
        hidden = jax.nn.relu(theta[f"scale{i}"].reshape(shape) * normalised + theta[f"offset{i}"].reshape(shape))
    return networks.linear([hidden], theta["w2"], theta["b2"])
