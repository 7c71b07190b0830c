"""Gaussian perturbations of `theta`, in antithetic pairs."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

__all__ = ["antithetic", "sample_noise"]


def sample_noise(key: Key[Array, ""], theta: Any, sigma: float) -> Any:
    """Independent N(0, sigma^2) noise in the shape of `theta`."""
    leaves, treedef = jax.tree.flatten(theta)
    keys = jax.random.split(key, len(leaves))
    noise = [sigma * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)]
    return treedef.unflatten(noise)


def antithetic(theta: Any, noise: Any) -> Any:
    """`theta + noise` and `theta - noise`, stacked along a new leading axis of size 2."""
    return jax.tree.map(lambda t, e: jnp.stack([t + e, t - e]), theta, noise)
