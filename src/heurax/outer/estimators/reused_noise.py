"""What `NoiseReuseES` and `ESSingle` share: windows of pairs that keep their noise for several windows."""

import abc
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import Noise
from heurax.outer.estimators.window_es import WindowES
from heurax.outer.trees import to_vector
from heurax.outer.truncation import Start

__all__ = ["ReusedNoise"]


@dataclass(frozen=True)
class ReusedNoise(WindowES):
    """Windows of persistent pairs whose noise is renewed when a lifetime begins, and every `noise_steps` after."""

    @abc.abstractmethod
    def noise_steps(self, inner: InnerLoop) -> int:
        """Inner steps between draws of noise; a multiple of the window."""

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes, and the steps between draws of noise, must be whole numbers of windows."""
        super().validate(inner)
        steps = self.noise_steps(inner)
        if not self.window <= steps <= inner.num_steps or steps % self.window:
            raise ValueError(
                f"reuse must be a multiple of window = {self.window}, at most inner.num_steps = {inner.num_steps}; "
                f"got {steps}"
            )

    def init_memory(self, theta: Any) -> Noise:
        """No noise, and its sum."""
        zeros = jnp.zeros_like(to_vector(theta))
        return Noise(zeros, zeros)

    def perturb(self, inner: InnerLoop, memory: Noise, drawn: Noise, start: Start) -> tuple[Noise, Noise]:
        """The noise as before, or fresh; the credit goes to the sum of all draws since the lifetime began."""
        renews = start.forgets | (start.time % self.noise_steps(inner) == 0)
        total = jnp.where(renews, memory.credit + drawn.credit, memory.credit)
        noise = Noise(
            perturbation=jnp.where(renews, drawn.perturbation, memory.perturbation),
            credit=jnp.where(start.forgets, drawn.credit, total),
        )
        return noise, noise
