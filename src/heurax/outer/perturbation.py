"""Gaussian perturbations of `theta`, in antithetic pairs: of full or of low rank, of constant or of scheduled size."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax import random

__all__ = ["SigmaSchedule", "antithetic", "sample_noise"]


def sample_noise(key: Key[Array, ""], theta: Any, sigma: float, rank: int | None = None) -> Any:
    """Noise of mean 0 and covariance `sigma^2 I` in the shape of `theta`.

    With a `rank`, the noise of a matrix of m rows and n columns is `sigma A B^T / sqrt(rank)`, with standard normal `A`
    (m x rank) and `B` (n x rank); an array of more than two axes is a stack of matrices. Vectors, scalars, and
    matrices with no side above `rank` get independent Gaussian noise, as everything does without a `rank`.

    Source of low-rank noise: EGGROLL, Sarkar et al. 2025, arXiv:2511.16652. Here the product is formed; the paper's
    kernels, which never form it, need a learner that knows of the perturbation.

    Args:
        key: a typed PRNG key.
        theta: gives structure, shapes and dtypes.
        sigma: standard deviation of each number; > 0.
        rank: of the noise of matrices; >= 1, or None for full rank.
    """
    leaves, treedef = jax.tree.flatten(theta)
    keys = jax.random.split(key, len(leaves))
    noise = [sigma * _standard_noise(k, leaf, rank) for k, leaf in zip(keys, leaves, strict=True)]
    return treedef.unflatten(noise)


def antithetic(theta: Any, noise: Any) -> Any:
    """`theta + noise` and `theta - noise`, stacked along a new leading axis of size 2."""

    def pair(t: Array, e: Array) -> Array:
        signs = jnp.asarray([1, -1], e.dtype).reshape(2, *(1,) * e.ndim)
        return t[None] + signs * e[None]  # unlike `jnp.stack`, XLA's CPU backend computes this with vector instructions

    return jax.tree.map(pair, theta, noise)


@dataclass(frozen=True)
class SigmaSchedule:
    """How the standard deviation of perturbations changes over the estimates of a run, as a fraction of `sigma`.

    With `p = min(estimates so far / num_steps, 1)` and `f = final_fraction`, the fraction is `1 - (1 - f) p` (linear),
    `f + (1 - f) (1 + cos(pi p)) / 2` (cosine) or `f^p` (exponential).

    Args:
        kind: `constant` ignores the other fields.
        final_fraction: the fraction after `num_steps` estimates; in (0, 1].
        num_steps: estimates until then; >= 1.

    >>> round(float(SigmaSchedule("exponential", final_fraction=0.01, num_steps=100).fraction(jnp.int32(50))), 3)
    0.1
    """

    kind: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    final_fraction: float = 0.1
    num_steps: int = 1000

    def __post_init__(self) -> None:
        if not 0 < self.final_fraction <= 1:
            raise ValueError(f"final_fraction must be in (0, 1], got {self.final_fraction}")
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")

    def fraction(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """The standard deviation after `step` estimates, relative to the first."""
        progress = jnp.minimum(step.astype(jnp.float32) / self.num_steps, 1.0)
        f = self.final_fraction
        if self.kind == "linear":
            return 1 - (1 - f) * progress
        if self.kind == "cosine":
            return f + (1 - f) * (1 + jnp.cos(math.pi * progress)) / 2
        if self.kind == "exponential":
            return jnp.float32(f) ** progress
        return jnp.ones_like(progress)


def _standard_noise(key: Key[Array, ""], leaf: Array, rank: int | None) -> Array:
    if rank is None or leaf.ndim < 2 or max(leaf.shape[-2:]) <= rank:
        return random.normal(key, leaf.shape, leaf.dtype)
    key_rows, key_columns = jax.random.split(key)
    rows = jax.random.normal(key_rows, (*leaf.shape[:-1], rank), leaf.dtype)
    columns = jax.random.normal(key_columns, (*leaf.shape[:-2], leaf.shape[-1], rank), leaf.dtype)
    return rows @ jnp.swapaxes(columns, -1, -2) / math.sqrt(rank)
