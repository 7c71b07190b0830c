"""Linear layers and the LSTM of learned optimizers, in the order of operations of dm-haiku."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.optimizers.features import init_linear

__all__ = ["LSTMState", "init_layer", "init_lstm", "initial_lstm_state", "linear", "lstm"]


class LSTMState(NamedTuple):
    """State of an LSTM, one row per tensor."""

    hidden: Float[Array, "rows size"]
    cell: Float[Array, "rows size"]


def init_layer(key: Key[Array, ""], num_inputs: int, num_outputs: int) -> dict[str, Array]:
    """A linear layer: weights `w` (see `features.init_linear`) and biases `b`, which are 0."""
    return {"w": init_linear(key, (num_inputs, num_outputs)), "b": jnp.zeros((num_outputs,), jnp.float32)}


def linear(layer: Any, x: Float[Array, "rows inputs"]) -> Float[Array, "rows outputs"]:
    """`x w + b`."""
    return x @ layer["w"] + layer["b"][None]


def init_lstm(key: Key[Array, ""], num_inputs: int, size: int) -> dict[str, Array]:
    """An LSTM: one linear layer from `[x, h]` to the four gates, and the state it starts from, which is 0."""
    return {
        **init_layer(key, num_inputs + size, 4 * size),
        "hidden": jnp.zeros((size,), jnp.float32),
        "cell": jnp.zeros((size,), jnp.float32),
    }


def initial_lstm_state(theta: Any, num_rows: int, dtype: jnp.dtype) -> LSTMState:
    """The learned initial state, repeated for every row."""
    return LSTMState(
        *(
            jnp.broadcast_to(theta[name].astype(dtype)[None], (num_rows, *theta[name].shape))
            for name in LSTMState._fields
        )
    )


def lstm(theta: Any, x: Float[Array, "rows inputs"], state: LSTMState) -> LSTMState:
    """One step; the output is the new hidden state.

    i, g, f, o = split([x, h] w + b)
    c' = sigmoid(f + 1) c + sigmoid(i) tanh(g)
    h' = sigmoid(o) tanh(c')
    """
    gates = linear(theta, jnp.concatenate([x, state.hidden], axis=-1))
    i, g, f, o = jnp.split(gates, 4, axis=-1)
    cell = jax.nn.sigmoid(f + 1) * state.cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    return LSTMState(hidden=jax.nn.sigmoid(o) * jnp.tanh(cell), cell=cell)
