"""Quadratics with a sampled spectrum: the smallest task with a known answer."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.base import Split, TaskFamily

__all__ = ["Quadratic", "QuadraticTask"]


class QuadraticTask(NamedTuple):
    """One quadratic: its eigenvalues, an orthonormal basis of eigenvectors (columns) and its minimiser."""

    eigenvalues: Float[Array, " n"]
    basis: Float[Array, "n n"]
    minimum: Float[Array, " n"]


@dataclass(frozen=True)
class Quadratic(TaskFamily):
    """`loss(x) = 1/2 (x - m)^T Q diag(lambda) Q^T (x - m)`, with noise on the minimiser in every batch.

    Args:
        dimension: number of parameters; >= 1.
        condition_number: ratio of the largest eigenvalue (1) to the smallest; eigenvalues are log-uniform between;
            >= 1.
        noise: standard deviation of the batch's minimiser around the task's; >= 0. Zero on the other splits.
    """

    dimension: int = 10
    condition_number: float = 100.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise ValueError(f"dimension must be >= 1, got {self.dimension}")
        if self.condition_number < 1:
            raise ValueError(f"condition_number must be >= 1, got {self.condition_number}")
        if self.noise < 0:
            raise ValueError(f"noise must be >= 0, got {self.noise}")

    def sample(self, key: Key[Array, ""]) -> QuadraticTask:
        """Draw eigenvalues, a uniformly random rotation and a standard normal minimiser."""
        key_values, key_basis, key_minimum = jax.random.split(key, 3)
        exponent = jax.random.uniform(key_values, (self.dimension,), minval=-1.0, maxval=0.0)
        return QuadraticTask(
            eigenvalues=self.condition_number**exponent,
            basis=jax.random.orthogonal(key_basis, self.dimension),
            minimum=jax.random.normal(key_minimum, (self.dimension,)),
        )

    def init(self, task: QuadraticTask, key: Key[Array, ""]) -> Float[Array, " n"]:
        """A standard normal start."""
        del task  # unused: the start does not depend on the problem
        return jax.random.normal(key, (self.dimension,))

    def batch(self, task: QuadraticTask, key: Key[Array, ""], split: Split = "train") -> Float[Array, " n"]:
        """A shift of the minimiser."""
        noise = self.noise if split == "train" else 0.0
        return noise * jax.random.normal(key, task.minimum.shape)

    def evaluation_batch(self, task: QuadraticTask, split: Split) -> Float[Array, " n"]:
        """No shift."""
        del split  # unused: every split is noiseless here
        return jnp.zeros_like(task.minimum)

    def loss(self, task: QuadraticTask, params: Float[Array, " n"], batch: Float[Array, " n"]) -> Float[Array, ""]:
        """The quadratic form."""
        coordinates = task.basis.T @ (params - task.minimum - batch)
        return 0.5 * jnp.sum(task.eigenvalues * coordinates**2)

    def divergence(
        self, task: QuadraticTask, target: Float[Array, " n"], params: Float[Array, " n"], batch: Float[Array, " n"]
    ) -> Float[Array, ""]:
        """`1/2 (t - x)^T H (t - x)`, `H = Q diag(lambda) Q^T`: the loss is `-log N(m; x, H^-1)` up to a constant."""
        del batch  # unused: the distributions differ by their means alone
        coordinates = task.basis.T @ (target - params)
        return 0.5 * jnp.sum(task.eigenvalues * coordinates**2)
