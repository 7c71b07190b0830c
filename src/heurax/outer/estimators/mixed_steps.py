"""MixedSteps: a geometric mixture of meta-gradients through one, two, ... inner steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate
from heurax.outer.estimators.gradients import WindowGradient, estimate_or_zero

__all__ = ["MixedSteps"]


@dataclass(frozen=True)
class MixedSteps(WindowGradient):
    """`g = (1 - b) / (1 - b^N) sum_{n=1..N} b^(n-1) g_n`, `g_n` the gradient of the meta-loss n steps into the window.

    `g_1` is biased and of low variance, `g_N` the other way round; the mixture trades one for the other: `b = 0` is the
    one-step meta-gradient, `b = 1` the plain average. One backward pass computes it, since a mixture of gradients is
    the gradient of the mixture of losses.

    Source of the idea: Bonnet et al. 2021, "One step at a time". It does not give the weights for certain; the
    geometric ones are ours.

    Args:
        num_tasks: tasks in parallel; >= 1.
        window: N, inner steps that are differentiated through; divides the horizon.
        objective: only `final`: every `g_n` is of the inner loop's meta-loss, each on randomness of its own.
        truncation: how long lifetimes are.
        decay: b; in [0, 1].

    Further options: see `GradientEstimator`.
    """

    objective: Literal["final"] = "final"
    decay: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective != "final":
            raise ValueError(f"objective must be final, got {self.objective}")
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay must be in [0, 1], got {self.decay}")

    def run_window(
        self, inner: InnerLoop, theta: Any, begin: Callable[[Any], Any], key: Key[Array, ""]
    ) -> tuple[Estimate, Any]:
        """Unroll, judging the state after every step, and differentiate."""
        powers = self.decay ** jnp.arange(self.window, dtype=jnp.float32)
        weights = powers / jnp.sum(powers)

        def window_loss(theta: Any) -> tuple[Array, Any]:
            def step(lifetime: Any, key: Key[Array, ""]) -> tuple[Any, Any]:
                key_step, key_judge = jax.random.split(key)
                lifetime, result = inner.step(theta, lifetime, key_step)
                return lifetime, (inner.meta_loss(theta, lifetime, key_judge), result.metrics)

            lifetime, (losses, metrics) = jax.lax.scan(step, begin(theta), jax.random.split(key, self.window))
            return jnp.sum(weights * losses), (lifetime, jax.tree.map(jnp.mean, metrics))

        (loss, (lifetime, metrics)), gradient = jax.value_and_grad(window_loss, has_aux=True)(theta)
        return estimate_or_zero(gradient, loss, metrics), lifetime
