"""Recurrent networks of learned optimizers: an LSTM per tensor, as in dm-haiku, and a GRU per element, as in flax."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.optimizers import networks

__all__ = ["LSTMState", "gru", "init_gru", "init_layer", "init_lstm", "initial_lstm_state", "linear", "lstm"]


class LSTMState(NamedTuple):
    """State of an LSTM, one row per tensor."""

    hidden: Float[Array, "rows size"]
    cell: Float[Array, "rows size"]


def init_layer(key: Key[Array, ""], num_inputs: int, num_outputs: int) -> dict[str, Array]:
    """A linear layer: weights `w` (see `networks.init_linear`) and biases `b`, which are 0."""
    return {"w": networks.init_linear(key, (num_inputs, num_outputs)), "b": jnp.zeros((num_outputs,), jnp.float32)}


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


def init_gru(key: Key[Array, ""], num_inputs: int, size: int) -> dict[str, Array]:
    """A GRU per element: input weights `[inputs, 3 size]`, recurrent ones `[size, 3 size]`, gates in the order r, z, n.

    Input weights are normal with variance 1/fan_in, recurrent ones orthogonal for each gate, biases 0.
    """
    key_input, key_hidden = jax.random.split(key)
    orthogonal = jax.nn.initializers.orthogonal()
    gates = [orthogonal(key_gate, (size, size), jnp.float32) for key_gate in jax.random.split(key_hidden, 3)]
    return {
        "input_w": jax.nn.initializers.lecun_normal()(key_input, (num_inputs, 3 * size), jnp.float32),
        "input_b": jnp.zeros((3 * size,), jnp.float32),
        "hidden_w": jnp.concatenate(gates, axis=1),
        "hidden_b": jnp.zeros((size,), jnp.float32),
    }


def gru(theta: Any, inputs: Float[Array, "gates *shape"], hidden: Float[Array, "h *shape"]) -> Float[Array, "h *shape"]:
    """One step of a GRU per element, `h' = (1 - z) n + z h`.

    r, z = sigmoid(x_r + h w_r), sigmoid(x_z + h w_z)
    n = tanh(x_n + r (h w_n + b_n))

    Args:
        theta: meta-parameters of `init_gru`.
        inputs: what the input weights made of the inputs, gates first.
        hidden: hidden states.
    """
    size = len(hidden)
    bias = jnp.concatenate([jnp.zeros((2 * size,), hidden.dtype), theta["hidden_b"]])
    recurrent = jnp.concatenate(networks.linear([hidden], theta["hidden_w"], bias))
    reset = jax.nn.sigmoid(inputs[:size] + recurrent[:size])
    keep = jax.nn.sigmoid(inputs[size : 2 * size] + recurrent[size : 2 * size])
    candidate = jnp.tanh(inputs[2 * size :] + reset * recurrent[2 * size :])
    return (1 - keep) * candidate + keep * hidden
