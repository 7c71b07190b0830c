"""The per-tensor network of VeLO and Celo: tensors exchange features, then an LSTM with one row per tensor."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.rules.optimizers import features, loss_features
from heurax.rules.optimizers.recurrent import LSTMState, init_layer, init_lstm, linear, lstm

__all__ = ["NUM_GLOBAL_FEATURES", "global_features", "init_scheduler", "loss_argument", "schedule"]

NUM_GLOBAL_FEATURES = len(features.FRACTIONS) + loss_features.NUM_LOSS_FEATURES


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
