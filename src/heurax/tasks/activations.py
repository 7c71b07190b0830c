"""Activation functions by name, and the choice of one of several inside a compiled program."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

__all__ = ["ACTIVATIONS", "activate", "check_activations"]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
}
"""Activation functions by name."""


def activate(names: Sequence[str], index: Int[Array, ""], x: Array) -> Array:
    """Apply that of `names` to which `index` points.

    >>> activate(["relu"], jnp.int32(0), jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    functions = [ACTIVATIONS[name] for name in names]
    return functions[0](x) if len(functions) == 1 else jax.lax.switch(index, functions, x)


def check_activations(names: Sequence[str]) -> None:
    """Raise ValueError where there is none, or one that is not known."""
    if not names or any(name not in ACTIVATIONS for name in names):
        raise ValueError(f"activations must be some of {', '.join(ACTIVATIONS)}, got {list(names)}")
