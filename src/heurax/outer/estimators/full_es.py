"""FullES: evolution strategies over whole lifetimes."""

from dataclasses import dataclass
from typing import Any

import jax
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator, PairResult, unroll_pair
from heurax.outer.perturbation import antithetic

__all__ = ["FullES"]


@dataclass(frozen=True)
class FullES(EvolutionaryEstimator):
    """Antithetic evolution strategies over whole lifetimes; the estimator that VeLO was trained with.

    Unbiased for the gradient of the loss smoothed with N(0, sigma^2) noise. One estimate costs `2 num_tasks
    num_steps` inner steps, in sequence over `num_steps`, and it keeps no state.

    Source: Salimans et al. 2017, arXiv:1703.03864.

    Args:
        num_tasks: tasks in parallel, each trained by an antithetic pair of lifetimes; >= 1.
        sigma: standard deviation of the perturbation; > 0.
        objective: `mean` of the step losses over the lifetime, or `final`: the inner loop's meta-loss at its end.

    Further options: see `EvolutionaryEstimator`.
    """

    def validate(self, inner: InnerLoop) -> None:
        """Fits every inner loop."""

    def inner_steps(self, inner: InnerLoop) -> int:
        """Two whole lifetimes per task."""
        return 2 * self.num_tasks * inner.num_steps

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> None:
        """No state."""

    def run_pair(
        self, inner: InnerLoop, theta: Any, state: None, key: Key[Array, ""], fraction: Float[Array, ""] | None
    ) -> tuple[PairResult, None]:
        """Two lifetimes from beginning to end."""
        key_noise, key_init, key_unroll = jax.random.split(key, 3)
        noise = self.draw(key_noise, theta, fraction)
        thetas = antithetic(theta, noise.perturbation)
        states = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        _, losses, metrics = unroll_pair(inner, thetas, states, key_unroll, inner.num_steps, self.objective)
        return PairResult(losses, noise.credit, metrics), state
