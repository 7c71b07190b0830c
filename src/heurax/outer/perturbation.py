"""Gaussian perturbations of `theta`, in antithetic pairs: of full or of low rank, of constant or of scheduled size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax import random
from heurax.outer.trees import from_vector, to_vector

__all__ = ["SigmaSchedule", "antithetic", "sample_noise"]


def sample_noise(key: Key[Array, ""], theta: Any, sigma: float, rank: int | None = None) -> Float[Array, " n"]:
    """Noise of mean 0 and covariance `sigma^2 I` for the numbers of `theta`, in the order of `to_vector`.

    With a `rank`, the noise of a matrix of m rows and n columns is `sigma A B^T / sqrt(rank)`, with standard normal `A`
    (m x rank) and `B` (n x rank); an array of more than two axes is a stack of matrices. Vectors, scalars, and
    matrices with no side above `rank` get independent Gaussian noise, as everything does without a `rank`.

    Source of low-rank noise: EGGROLL, Sarkar et al. 2025, arXiv:2511.16652. Here the product is formed; the paper's
    kernels, which never form it, need a learner that knows of the perturbation.

    Args:
        key: a typed PRNG key.
        theta: gives the shapes.
        sigma: standard deviation of each number; > 0.
        rank: of the noise of matrices; >= 1, or None for full rank.
    """
    factors = [_factor_shapes(leaf.shape, rank) for leaf in jax.tree.leaves(theta)]
    sizes = [math.prod(shape) for shapes in factors for shape in shapes]
    numbers = random.normal(key, (sum(sizes),), to_vector(theta).dtype)  # a draw for each leaf is more to compile
    if rank is not None and sizes:
        parts = iter(jax.lax.split(numbers, sizes))
        numbers = to_vector([_noise([next(parts).reshape(shape) for shape in shapes]) for shapes in factors])
    return sigma * numbers


def antithetic(theta: Any, noise: Float[Array, " n"]) -> Any:
    """`theta + noise` and `theta - noise`, stacked along a new leading axis of size 2; `noise` is a vector."""
    signs = jnp.asarray([1, -1], noise.dtype)[:, None]
    pair = to_vector(theta)[None] + signs * noise[None]  # unlike `jnp.stack`, XLA's CPU backend vectorises this
    return jax.vmap(lambda vector: from_vector(vector, theta))(pair)


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


def _factor_shapes(shape: tuple[int, ...], rank: int | None) -> list[tuple[int, ...]]:
    """The shapes of the standard normal numbers that noise of this shape is made of: itself, or two factors."""
    if rank is None or len(shape) < 2 or max(shape[-2:]) <= rank:
        return [shape]
    *stack, rows, columns = shape
    return [(*stack, rows, rank), (*stack, columns, rank)]


def _noise(factors: Sequence[Array]) -> Array:
    """What `_factor_shapes` factored, of unit variance."""
    if len(factors) == 1:
        return factors[0]
    rows, columns = factors
    return rows @ jnp.swapaxes(columns, -1, -2) / math.sqrt(rows.shape[-1])
