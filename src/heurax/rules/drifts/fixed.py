"""Drifts with nothing to learn share an empty `theta`."""

import abc
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.drifts.base import Drift, DriftFunction

__all__ = ["FixedDrift"]


class FixedDrift(Drift):
    """A drift in closed form: its `theta` is the empty tuple."""

    def init(self, key: Key[Array, ""]) -> tuple[()]:
        """Nothing is learned."""
        del key  # unused: there are no meta-parameters
        return ()

    def drift(self, theta: Any) -> DriftFunction:
        """`evaluate`, which does not vary over training; see `Drift.drift`."""
        del theta  # unused: empty

        def drift(
            log_ratio: Float[Array, "..."], advantage: Float[Array, "..."], progress: Float[Array, "..."]
        ) -> Float[Array, "..."]:
            log_ratio, advantage, _ = jnp.broadcast_arrays(log_ratio, advantage, progress)
            return self.evaluate(log_ratio, advantage)

        return drift

    @abc.abstractmethod
    def evaluate(self, log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "..."]:
        """The drift, elementwise."""
