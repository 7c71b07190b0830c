"""RNNMLP: a per-tensor LSTM and a per-parameter MLP that inform each other (Metz et al. 2020)."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import features, networks, tensors
from heurax.rules.optimizers.recurrent import LSTMState, init_layer, init_lstm, initial_lstm_state, linear, lstm
from heurax.rules.optimizers.scheduler import loss_argument

__all__ = ["RNNMLP", "RNNMLPState", "TensorState"]

DECAYS = (0.5, 0.9, 0.99, 0.999, 0.9999)
SIN_TIMESCALES = features.TANH_TIMESCALES
NUM_STATISTICS = 18
NUM_ELEMENT_FEATURES = 3 + 4 * len(DECAYS)
NUM_SHARED_FEATURES = len(SIN_TIMESCALES) + 3
FROM_LSTM, FROM_MLP, TO_MLP = 18, 16, 17
LOSS_DECAY = 0.9
CLIP_DECAY = 0.99
CLIP_MULTIPLE = 10.0


class TensorState(NamedTuple):
    """What is kept of one tensor: `[decays, *shape]` moments, and what its MLP told the LSTM."""

    momentum: Float[Array, "decays *shape"]
    second_moment: Float[Array, "decays *shape"]
    from_mlp: Float[Array, " 16"]


class RNNMLPState(NamedTuple):
    """State of `RNNMLP`: the LSTM has one row per tensor, in the order of the leaves."""

    count: Int[Array, ""]
    gradient_scale: Float[Array, ""]
    loss_mean: Float[Array, ""]
    loss_variance: Float[Array, ""]
    lstm: LSTMState
    from_lstm: Float[Array, " 18"]
    tensors: Any


@dataclass(frozen=True)
class RNNMLP(LearnedOptimizer):
    """A per-tensor LSTM steers a per-parameter MLP 54-h-h-18, and hears back from it.

    The LSTM reads 18 statistics of the tensor (gradient, parameter, moments, shape, loss), an average of what all LSTMs
    sent in the update before (18), and an average over elements of what the tensor's MLP sent (16). The MLP reads 23
    features of an element, each divided by its root mean square over the tensor, a sine embedding of the step (11), the
    number of tensors, norm and size of the tensor, and 17 values from the LSTM. Its first two outputs, direction `d`
    and magnitude `m`, make the update

        delta = -0.001 * d * exp(0.001 * m).

    Gradients are clipped at 10 times a running average of their size, elementwise. `update` needs the training loss as
    `value=`; `num_steps` is not used.

    Source: Metz et al. 2020, arXiv:2009.11243 (`RNNMLPLOpt` of google/learned_optimization, reproduced to float32
    rounding). The original can be told a validation loss; here it counts as 0, as it does there until the first one,
    and so an epsilon in which the Celo repository's copy differs does not matter.

    Args:
        hidden_size: width of both hidden layers of the MLP; >= 1.
        lstm_hidden_size: size of the LSTM; >= 1.

    >>> theta = RNNMLP().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    35799
    """

    hidden_size: int = 32
    lstm_hidden_size: int = 64

    def __post_init__(self) -> None:
        for name in ("hidden_size", "lstm_hidden_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Layers as in `networks.init_linear`; first messages are normal; the LSTM starts from 0."""
        key_lstm, key_mlp, key_to_lstm, key_to_mlp, key_from_lstm, key_from_mlp = jax.random.split(key, 6)
        num_inputs = NUM_ELEMENT_FEATURES + NUM_SHARED_FEATURES + TO_MLP
        return {
            "lstm": init_lstm(key_lstm, NUM_STATISTICS + FROM_LSTM + FROM_MLP, self.lstm_hidden_size),
            "lstm_to_lstm": init_layer(key_to_lstm, self.lstm_hidden_size, FROM_LSTM),
            "lstm_to_mlp": init_layer(key_to_mlp, self.lstm_hidden_size, TO_MLP),
            "mlp": networks.init_mlp(key_mlp, (num_inputs, self.hidden_size, self.hidden_size, 2 + FROM_MLP)),
            "from_lstm": networks.init_linear(key_from_lstm, (FROM_LSTM, 1))[:, 0],
            "from_mlp": networks.init_linear(key_from_mlp, (FROM_MLP, 1))[:, 0],
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the networks see the step count, not the horizon

        def init(params: optax.Params) -> RNNMLPState:
            dtype = tensors.tree_dtype(params)

            def init_tensor(param: Array) -> TensorState:
                moments = features.init_moments(param, len(DECAYS))
                return TensorState(moments, moments, theta["from_mlp"].astype(dtype))

            return RNNMLPState(
                count=jnp.zeros([], jnp.int32),
                gradient_scale=jnp.asarray(1 - CLIP_DECAY, dtype),
                loss_mean=jnp.zeros([], dtype),
                loss_variance=jnp.zeros([], dtype),
                lstm=initial_lstm_state(theta["lstm"], len(jax.tree.leaves(params)), dtype),
                from_lstm=theta["from_lstm"].astype(dtype),
                tensors=jax.tree.map(init_tensor, params),
            )

        def update(
            updates: optax.Updates,
            state: Any,
            params: optax.Params | None = None,
            *,
            value: Any = None,
            **extra_args: Any,
        ) -> tuple[optax.Updates, RNNMLPState]:
            del extra_args  # unused: this rule reads nothing but the loss
            if params is None:
                raise ValueError("RNNMLP reads the parameters: call update(grads, state, params, value=loss)")
            dtype = tensors.tree_dtype(params)
            loss = loss_argument("RNNMLP", value, dtype)
            if not jax.tree.leaves(params):
                return updates, state
            cast_theta = tensors.cast(theta, dtype)

            mean = LOSS_DECAY * state.loss_mean + (1 - LOSS_DECAY) * loss
            variance = LOSS_DECAY * state.loss_variance + (1 - LOSS_DECAY) * jnp.square(mean - loss)
            losses = _normalised_losses(loss, mean, variance, state.count)
            gradients, gradient_scale = _clip_gradients(params, updates, state.gradient_scale, state.count)
            accumulated = jax.tree.structure(params).unflatten(
                [_accumulate(g, tensor) for g, tensor in tensors.tensor_rows(params, gradients, state.tensors)]
            )
            inputs = [
                jnp.concatenate([state.from_lstm, row[2].from_mlp, _statistics(*row, losses=losses)])
                for row in tensors.tensor_rows(params, params, gradients, accumulated)
            ]
            next_lstm = lstm(cast_theta["lstm"], jnp.stack(inputs), state.lstm)
            messages = linear(cast_theta["lstm_to_mlp"], next_lstm.hidden)
            from_lstm = jnp.mean(linear(cast_theta["lstm_to_lstm"], next_lstm.hidden), axis=0)

            def update_tensor(
                param: Array, gradient: Array, tensor: TensorState, message: Array
            ) -> tuple[Array, TensorState]:
                return _update_tensor(cast_theta["mlp"], state.count, len(inputs), param, gradient, tensor, message)

            deltas, tensor_states = tensors.update_tensors(
                update_tensor, params, gradients, accumulated, jax.tree.structure(params).unflatten(list(messages))
            )
            return deltas, RNNMLPState(
                state.count + 1, gradient_scale, mean, variance, next_lstm, from_lstm, tensor_states
            )

        return optax.GradientTransformationExtraArgs(init, update)


def _normalised_losses(loss: Array, mean: Array, variance: Array, count: Int[Array, ""]) -> Float[Array, " 2"]:
    """Training loss, and a validation loss of 0, relative to mean and spread of the training loss."""
    decayed = jnp.asarray(LOSS_DECAY, loss.dtype) ** (count + 1).astype(loss.dtype)
    correction = 1 / (1 - decayed + 1e-8)
    values = jnp.stack([loss, jnp.zeros_like(loss)])
    return jnp.clip((values - correction * mean) * jax.lax.rsqrt(correction * variance + 1e-8), -5, 5)


def _clip_gradients(
    params: Any, gradients: Any, scale: Float[Array, ""], count: Int[Array, ""]
) -> tuple[Any, Float[Array, ""]]:
    """Clip elementwise at 10 times the average size of gradients so far, and add this one's size."""
    bound = CLIP_MULTIPLE * scale / (1 - jnp.asarray(CLIP_DECAY, scale.dtype) ** (count + 1).astype(scale.dtype))

    def clip(param: Array, gradient: Array) -> Array:
        dtype = tensors.state_dtype(param)
        return jnp.clip(gradient.astype(dtype), -bound.astype(dtype), bound.astype(dtype))

    clipped = jax.tree.map(clip, params, gradients)
    squares = jnp.stack([jnp.mean(jnp.square(g)).astype(scale.dtype) for g in jax.tree.leaves(clipped)])
    return clipped, CLIP_DECAY * scale + (1 - CLIP_DECAY) * jnp.sqrt(1e-8 + jnp.mean(squares))


def _accumulate(gradient: Array, tensor: TensorState) -> TensorState:
    """Add a clipped gradient to the moments."""
    decays = jnp.asarray(DECAYS, gradient.dtype)
    return TensorState(
        features.decay_moments(tensor.momentum, gradient, decays),
        features.decay_moments(tensor.second_moment, gradient**2, decays),
        tensor.from_mlp,
    )


def _statistics(param: Array, gradient: Array, tensor: TensorState, losses: Float[Array, " 2"]) -> Float[Array, " 18"]:
    """What the LSTM reads of a tensor itself; statistics of the moments pool all decays."""
    p = param.astype(gradient.dtype)
    pooled = {"m": tensor.momentum, "v": tensor.second_moment, "p": p}
    mean = {name: jnp.mean(x) for name, x in pooled.items()}
    spread = {name: features.log_feature(jnp.mean(jnp.square(x - mean[name]))) for name, x in pooled.items()}
    shape = (*param.shape, 1, 1, 1, 1)[:4]
    values = [
        features.log_feature(_norm(gradient)),
        1.0 if param.ndim == 0 else -1.0,
        *(f(mean[name]) for name in ("m", "v", "p") for f in (features.log_feature, jnp.sign)),
        features.log_feature(_norm(p)),
        *(math.log(size) - 1 for size in shape),
        losses[0],
        losses[1],
        *(spread[name] for name in ("m", "v", "p")),
    ]
    return jnp.stack([jnp.asarray(x, losses.dtype) for x in values])


def _update_tensor(
    theta: Any,
    count: Int[Array, ""],
    num_tensors: int,
    param: Array,
    gradient: Array,
    tensor: TensorState,
    message: Float[Array, " 17"],
) -> tuple[Array, TensorState]:
    """One tensor's update, and what its MLP tells the LSTM next time."""
    dtype = gradient.dtype
    theta = tensors.cast(theta, dtype)
    p = param.astype(dtype)
    rsqrt = jax.lax.rsqrt(tensor.second_moment + 1e-6)
    log_param = jnp.log(jnp.abs(p) + 1e-8)
    moments = (tensor.momentum, tensor.second_moment, tensor.momentum * rsqrt, rsqrt)
    step = jnp.sin(count.astype(dtype) / (jnp.asarray(SIN_TIMESCALES, dtype) * jnp.pi))
    scalars = (math.log(num_tensors) - 1, jnp.log(_norm(p) + 1e-8), math.log(param.size))
    shared = jnp.concatenate([step, jnp.stack([jnp.asarray(x, dtype) for x in scalars]), message.astype(dtype)])
    hidden = networks.normalised_linear(
        [gradient[None], p[None], log_param[None], *moments],
        theta["w0"][:NUM_ELEMENT_FEATURES],
        theta["b0"] + shared @ theta["w0"][NUM_ELEMENT_FEATURES:],
        epsilon=1e-5,
        unroll=False,
    )
    hidden = networks.mlp(hidden, [(theta["w1"], theta["b1"])], unroll=False)
    direction, magnitude = networks.unpack(networks.mlp(hidden, [(theta["w2"][:, :2], theta["b2"][:2])]))
    # The last layer is linear, so the mean over elements of its outputs is that of its inputs, mapped.
    (hidden,) = hidden
    mean_hidden = jnp.mean(jax.nn.relu(hidden), axis=tuple(range(1, hidden.ndim)))
    from_mlp = (mean_hidden @ theta["w2"][:, 2:] + theta["b2"][2:]).astype(tensor.from_mlp.dtype)
    delta = direction * jnp.exp(0.001 * magnitude) * -0.001
    return delta.astype(param.dtype), tensor._replace(from_mlp=from_mlp)


def _norm(x: Array) -> Float[Array, ""]:
    """Euclidean norm, with a gradient of 0 where it is 0."""
    return jnp.sqrt(jnp.maximum(jnp.sum(jnp.square(x)), 1e-30))
