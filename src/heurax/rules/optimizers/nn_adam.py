"""NNAdam: Adam whose hyper-parameters an LSTM moves, for each tensor on its own."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import features, tensors
from heurax.rules.optimizers.recurrent import LSTMState, init_lstm, initial_lstm_state, linear, lstm

__all__ = ["NNAdam", "NNAdamState"]

NUM_FEATURES = 19
NUM_HYPER_PARAMETERS = 4
LOWER = (0.1 * math.log(1e-8), -1.0, -1.0, 0.1 * math.log(1e-11))
UPPER = (0.1 * math.log(1e3), 0.0, 0.0, 0.1 * math.log(1e4))
"""Ranges of learning rate, 1 - beta1, 1 - beta2 and epsilon, as a tenth of their logarithms."""


class NNAdamState(NamedTuple):
    """State of `NNAdam`: one row per tensor in the LSTM and the hyper-parameters; `[2, *shape]` moments."""

    lstm: LSTMState
    hyper_parameters: Float[Array, "rows 4"]
    moments: Any


@dataclass(frozen=True)
class NNAdam(LearnedOptimizer):
    """Adam with learning rate, decays and epsilon per tensor, which an LSTM changes step by step.

    With moments `m` and `v` that are not bias-corrected,

        delta = -learning_rate * (1 + epsilon) / (epsilon + sqrt(v + 1e-10)) * m,

    where the factor `1 + epsilon` lets a large epsilon turn the rule into gradient descent without a larger learning
    rate. Then the LSTM reads 19 features of the tensor (signs and logarithms of mean and variance of `m`, `v`, gradient
    and parameter, the rank, and the hyper-parameters) and moves the four hyper-parameters for the next update: each
    is kept as a tenth of the logarithm of `learning_rate`, `1 - beta1`, `1 - beta2` or `epsilon`.

    Source: `NNAdam` of google/learned_optimization, reproduced to float32 rounding. Gradients are clipped to
    [-1000, 1000] elementwise; `num_steps` and the loss are not used.

    Args:
        lstm_hidden_size: size of the LSTM; >= 1.
        output_scale: factor on the changes of the hyper-parameters; > 0.
        decay_strength: part of the way back to the initial value that a hyper-parameter goes in each update; in [0, 1].
        learning_rate: initial value; > 0.
        beta1: initial value; in [0, 1).
        beta2: initial value; in [0, 1).
        epsilon: initial value; > 0.

    >>> theta = NNAdam().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    6856
    """

    lstm_hidden_size: int = 32
    output_scale: float = 0.01
    decay_strength: float = 0.0
    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.lstm_hidden_size < 1:
            raise ValueError(f"lstm_hidden_size must be >= 1, got {self.lstm_hidden_size}")
        for name in ("output_scale", "learning_rate", "epsilon"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.decay_strength <= 1:
            raise ValueError(f"decay_strength must be in [0, 1], got {self.decay_strength}")

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """A random LSTM whose output layer is 0, so that the rule starts as Adam with the initial values."""
        initial = (self.learning_rate, 1 - self.beta1, 1 - self.beta2, self.epsilon)
        return {
            "lstm": init_lstm(key, NUM_FEATURES, self.lstm_hidden_size),
            "controls": {
                "w": jnp.zeros((self.lstm_hidden_size, NUM_HYPER_PARAMETERS), jnp.float32),
                "b": jnp.zeros((NUM_HYPER_PARAMETERS,), jnp.float32),
            },
            "hyper_parameters": 0.1 * jnp.log(jnp.asarray(initial, jnp.float32)),
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the LSTM does not see the horizon

        def init(params: optax.Params) -> NNAdamState:
            dtype = tensors.tree_dtype(params)
            num_rows = len(jax.tree.leaves(params))
            hyper_parameters = theta["hyper_parameters"].astype(dtype)[None]
            return NNAdamState(
                lstm=initial_lstm_state(theta["lstm"], num_rows, dtype),
                hyper_parameters=jnp.broadcast_to(hyper_parameters, (num_rows, NUM_HYPER_PARAMETERS)),
                moments=jax.tree.map(lambda p: features.init_moments(p, 2), params),
            )

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, NNAdamState]:
            del extra_args  # unused: this rule does not look at the loss
            if params is None:
                raise ValueError("NNAdam reads the parameters: call update(grads, state, params)")
            treedef = jax.tree.structure(params)
            if treedef.num_leaves == 0:
                return updates, state
            rows = treedef.unflatten(list(state.hyper_parameters))
            deltas, moments = tensors.update_tensors(_update_tensor, params, updates, state.moments, rows)

            inputs = [_tensor_features(*row) for row in tensors.tensor_rows(params, params, updates, moments, rows)]
            theta_cast = tensors.cast(theta, tensors.tree_dtype(params))
            next_lstm = lstm(theta_cast["lstm"], jnp.stack(inputs), state.lstm)
            change = self.output_scale * linear(theta_cast["controls"], next_lstm.hidden)
            hyper_parameters = state.hyper_parameters + change
            pull = theta_cast["hyper_parameters"][None] - hyper_parameters
            hyper_parameters = _clip(hyper_parameters + self.decay_strength * pull)
            return deltas, NNAdamState(next_lstm, hyper_parameters, moments)

        return optax.GradientTransformationExtraArgs(init, update)


def _clip(hyper_parameters: Float[Array, "*rows 4"]) -> Float[Array, "*rows 4"]:
    """Hyper-parameters, as they are kept, within their ranges."""
    shape = (1,) * (hyper_parameters.ndim - 1) + (NUM_HYPER_PARAMETERS,)
    lower, upper = (jnp.asarray(bound, hyper_parameters.dtype).reshape(shape) for bound in (LOWER, UPPER))
    return jnp.clip(hyper_parameters, lower, upper)


def _update_tensor(
    param: Array, gradient: Array, moments: Array, hyper_parameters: Float[Array, " 4"]
) -> tuple[Array, Array]:
    """One tensor's update and new moments."""
    learning_rate, one_minus_beta1, one_minus_beta2, epsilon = jnp.exp(10 * _clip(hyper_parameters)).astype(
        moments.dtype
    )
    g = features.clip_gradient(gradient.astype(moments.dtype))
    moments = features.decay_adam_moments(moments, g, 1 - one_minus_beta1, 1 - one_minus_beta2)
    step = learning_rate * (1 + epsilon) / (epsilon + jnp.sqrt(moments[1] + 1e-10)) * moments[0]
    return (-step).astype(param.dtype), moments


def _tensor_features(
    param: Array, gradient: Array, moments: Array, hyper_parameters: Float[Array, " 4"]
) -> Float[Array, " 19"]:
    """What the LSTM reads of a tensor: the parameter before the update, the moments after it."""
    dtype = moments.dtype
    p, g = param.astype(dtype), features.clip_gradient(gradient.astype(dtype))
    m, v = moments
    mean = {name: jnp.mean(x) for name, x in (("g", g), ("m", m), ("p", p), ("v", v))}
    variance = {name: jnp.mean(jnp.square(x - mean[name])) for name, x in (("g", g), ("m", m), ("p", p), ("v", v))}
    size = {name: 0.5 * features.log_feature(x) for name, x in mean.items()}
    spread = {name: 0.5 * features.log_feature(x) for name, x in variance.items()}
    sign = {name: jnp.sign(x) for name, x in mean.items()}
    learning_rate, beta1, beta2, epsilon = 0.2 * jnp.clip(hyper_parameters, -5, 5)
    statistics = [
        *(size["g"], sign["g"], 0.5 * features.log_feature(jnp.mean(jnp.abs(g)))),
        *(size["m"], sign["m"], size["p"], sign["p"], size["v"], sign["v"]),
        *(spread["g"], spread["m"], spread["p"], spread["v"]),
    ]
    rank = [jnp.asarray(1.0 if param.ndim == ndim else -1.0, dtype) for ndim in (1, 0)]
    values = [beta1, beta2, epsilon, *rank, learning_rate, *statistics]
    return jnp.stack([x.astype(hyper_parameters.dtype) for x in values])
