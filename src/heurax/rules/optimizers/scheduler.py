"""The per-tensor network of VeLO and Celo: tensors exchange features, then an LSTM with one row per tensor.

VeLO's rows differ. Celo and Celo-Adam only look at the training run as a whole, so that one row serves all tensors.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.rules.optimizers import features, loss_features
from heurax.rules.optimizers.recurrent import (
    LSTMState,
    init_layer,
    init_lstm,
    initial_lstm_state,
    linear,
    lstm,
)

__all__ = [
    "NUM_GLOBAL_FEATURES",
    "SchedulerState",
    "global_features",
    "init_scheduler",
    "init_scheduler_state",
    "learning_rate_multiplier",
    "loss_argument",
    "schedule",
    "schedule_globally",
]

NUM_GLOBAL_FEATURES = len(features.FRACTIONS) + loss_features.NUM_LOSS_FEATURES


class SchedulerState(NamedTuple):
    """State of a scheduler that treats all tensors alike: its LSTM has one row."""

    loss: loss_features.LossAverages
    lstm: LSTMState


def init_scheduler(key: Key[Array, ""], num_features: int, size: int, heads: Mapping[str, int]) -> dict[str, Any]:
    """Meta-parameters of the network.

    Args:
        key: a typed PRNG key.
        num_features: features of a tensor.
        size: hidden size of the LSTM.
        heads: name and number of outputs of each linear layer on top.
    """
    key_own, key_pooled, key_lstm, key_heads = jax.random.split(key, 4)
    keys = jax.random.split(key_heads, len(heads))
    return {
        "own": init_layer(key_own, num_features, size),
        "pooled": init_layer(key_pooled, num_features, size),
        "lstm": init_lstm(key_lstm, size, size),
        **{name: init_layer(key_head, size, heads[name]) for name, key_head in zip(heads, keys, strict=True)},
    }


def schedule(theta: Any, x: Float[Array, "rows features"], state: LSTMState) -> LSTMState:
    """Mix the features of all tensors, `x' = own(x) + max over tensors of relu(pooled(x))`, and step the LSTM."""
    pooled = jnp.max(jax.nn.relu(linear(theta["pooled"], x)), axis=0, keepdims=True)
    return lstm(theta["lstm"], linear(theta["own"], x) + pooled, state)


def global_features(
    averages: loss_features.LossAverages, count: Int[Array, ""], num_steps: int, loss_horizon: int
) -> Float[Array, " 18"]:
    """Where the learner is in its training run (9), and how its loss changes (9).

    Args:
        averages: averages of the loss that have seen the current one.
        count: number of updates before this one.
        num_steps: the horizon.
        loss_horizon: the longest half-life of the averages.
    """
    return jnp.concatenate(
        [
            features.fraction_embedding(count, num_steps, averages.means.dtype),
            loss_features.loss_features(averages, count, loss_horizon),
        ]
    )


def init_scheduler_state(theta: Any, dtype: jnp.dtype) -> SchedulerState:
    """State of the scheduler `theta` before its first loss."""
    return SchedulerState(loss_features.init_loss_averages(dtype), initial_lstm_state(theta["lstm"], 1, dtype))


def schedule_globally(
    theta: Any, state: SchedulerState, loss: Float[Array, ""], count: Int[Array, ""], num_steps: int
) -> SchedulerState:
    """One step of a scheduler that treats all tensors alike; its output is the new hidden state.

    Args:
        theta: meta-parameters of `init_scheduler`, with `NUM_GLOBAL_FEATURES` features, in the state's dtype.
        state: its state.
        loss: the training loss, in the state's dtype.
        count: number of updates before this one.
        num_steps: the horizon.
    """
    averages = loss_features.update_loss_averages(state.loss, loss, count, num_steps)
    x = global_features(averages, count, num_steps, loss_horizon=num_steps)
    return SchedulerState(averages, schedule(theta, x[None], state.lstm))


def learning_rate_multiplier(theta: Any, state: SchedulerState) -> Float[Array, ""]:
    """Celo's step size, `0.1 exp(step_size(h))`."""
    return 0.1 * jnp.exp(linear(theta["step_size"], state.lstm.hidden)[0, 0])


def loss_argument(name: str, value: Any, dtype: jnp.dtype) -> Float[Array, ""]:
    """The loss that an optimizer was given as `value=`.

    Raises:
        ValueError: there is none, or it is not a scalar.
    """
    if value is None:
        raise ValueError(f"{name} reads the training loss: call update(grads, state, params, value=loss)")
    loss = jnp.asarray(value)
    if loss.shape != ():
        raise ValueError(f"value must be a scalar training loss, got shape {list(loss.shape)}")
    return loss.astype(dtype)
