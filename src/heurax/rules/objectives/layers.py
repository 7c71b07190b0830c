"""The layers that learned objectives are made of, on arrays with any leading axes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

__all__ = ["init_linear", "init_mlp", "kl_divergence", "linear", "mlp", "reverse_scan"]


def init_linear(key: Key[Array, ""], num_inputs: int, num_outputs: int, std: float | None = None) -> dict[str, Array]:
    """Weights `w`, normal but truncated at two standard deviations, and biases `b`, 0.

    Args:
        key: a typed PRNG key.
        num_inputs: >= 1.
        num_outputs: >= 1.
        std: of the weights; None is `1 / sqrt(num_inputs)`.
    """
    scale = num_inputs**-0.5 if std is None else std
    w = jax.random.truncated_normal(key, -2.0, 2.0, (num_inputs, num_outputs), jnp.float32)
    return {"w": scale * w, "b": jnp.zeros((num_outputs,), jnp.float32)}


def linear(layer: Any, x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
    """`x w + b`."""
    y = x @ layer["w"].astype(x.dtype)
    return y + jnp.broadcast_to(layer["b"].astype(x.dtype), y.shape)


def init_mlp(key: Key[Array, ""], sizes: Sequence[int]) -> list[dict[str, Array]]:
    """Linear layers with these sizes, that of the inputs first."""
    keys = jax.random.split(key, len(sizes) - 1)
    return [init_linear(k, a, b) for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def mlp(layers: Sequence[Any], x: Float[Array, "... inputs"]) -> Float[Array, "... outputs"]:
    """Linear layers with ReLUs between them."""
    for layer in layers[:-1]:
        x = jax.nn.relu(linear(layer, x))
    return linear(layers[-1], x)


def reverse_scan(step: Any, initial: Any, x: Array, ended: Array) -> Array:
    """Run a recurrent cell backwards in time; its state is `initial` again before it reads a step with `ended`.

    Args:
        step: `(state, x_t) -> (state, y_t)`, on a batch.
        initial: the state, a tree of arrays `[batch, ...]`.
        x: inputs, `[time, batch, features]`.
        ended: `[time, batch]`.

    Returns:
        All `y_t`, in the order of time.
    """

    def body(state: Any, now: tuple[Array, Array]) -> tuple[Any, Array]:
        x_t, ended_t = now
        state = jax.tree.map(
            lambda old, new: jnp.where(ended_t.reshape(-1, *[1] * (old.ndim - 1)), new, old), state, initial
        )
        return step(state, x_t)

    return jax.lax.scan(body, initial, (x, ended), reverse=True)[1]


def kl_divergence(p_logits: Float[Array, "... n"], q_logits: Float[Array, "... n"]) -> Float[Array, "..."]:
    """`KL(softmax(p_logits) || softmax(q_logits))`.

    >>> float(kl_divergence(jnp.zeros(2), jnp.zeros(2)))
    0.0
    """
    log_p, log_q = jax.nn.log_softmax(p_logits), jax.nn.log_softmax(q_logits)
    return jnp.sum(jnp.exp(log_p) * (log_p - log_q), axis=-1)
