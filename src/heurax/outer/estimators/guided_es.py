"""GuidedES: evolution strategies whose noise leans towards truncated gradients."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator, PairResult, unroll_pair
from heurax.outer.perturbation import antithetic
from heurax.outer.trees import num_elements, to_vector
from heurax.outer.unroll import unroll, validate_window

__all__ = ["GuidedES", "GuidedESState"]


@struct.dataclass
class GuidedESState:
    """The last surrogate gradients of one task, newest first: `f32[k, n]`."""

    guides: Any


@dataclass(frozen=True)
class GuidedES(EvolutionaryEstimator):
    """Antithetic evolution strategies over whole lifetimes, in a search distribution stretched along cheap gradients.

    With n meta-parameters and an orthonormal basis U of the last k surrogate gradients of a task:

        e ~ N(0, sigma^2 C),    C = (alpha / n) I + ((1 - alpha) / k) U U^T
        g = beta (L+ - L-) e / (2 sigma^2)

    Its mean is `beta C` times the gradient of the smoothed loss: preconditioned, never turned by more than 90 degrees,
    and unbiased only for alpha = 1, beta = n. A surrogate is the gradient of the mean loss of the unperturbed lifetime
    of the same task, back-propagated through `window` steps at a time: biased, of low variance, and in the hands of an
    unbiased search that can do without it. One that is not finite counts as zero.

    Source: Maheswaranathan et al. 2019, arXiv:1806.10230. The surrogates are ours to choose; the paper's example for
    unrolled optimisation is a truncated gradient too. `rank` does not apply: the noise has a covariance of its own.

    Args:
        num_tasks: tasks in parallel, each trained by an antithetic pair of lifetimes; >= 1.
        window: inner steps that a surrogate differentiates through; divides the horizon.
        sigma: standard deviation of the perturbation along all axes together, `sqrt(E |e|^2)`; > 0.
        objective: `mean` of the step losses over the lifetime, or `final`: the inner loop's meta-loss at its end.
        num_guides: k; >= 1. At most n are used.
        alpha: share of the variance that is spread over all axes; in (0, 1].
        beta: factor of the estimate; > 0.

    Further options: see `EvolutionaryEstimator`.
    """

    window: int = 20
    num_guides: int = 1
    alpha: float = 0.5
    beta: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_guides < 1:
            raise ValueError(f"num_guides must be >= 1, got {self.num_guides}")
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1], got {self.alpha}")
        if not self.beta > 0:
            raise ValueError(f"beta must be > 0, got {self.beta}")
        if self.rank is not None:
            raise ValueError(f"rank must be null: the noise of GuidedES has a covariance of its own, got {self.rank}")

    def validate(self, inner: InnerLoop) -> None:
        """The window must divide the horizon."""
        validate_window(self.window, inner)

    def inner_steps(self, inner: InnerLoop) -> int:
        """Three whole lifetimes per task, one of them differentiated."""
        return 3 * self.num_tasks * inner.num_steps

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> GuidedESState:
        """No guides yet."""
        del inner, key, index  # unused: nothing is drawn
        vector = to_vector(theta)
        return GuidedESState(jnp.zeros((min(self.num_guides, vector.size), vector.size), vector.dtype))

    def run_pair(
        self, inner: InnerLoop, theta: Any, state: GuidedESState, key: Key[Array, ""], fraction: Float[Array, ""] | None
    ) -> tuple[PairResult, GuidedESState]:
        """A lifetime for the surrogate, and two lifetimes from beginning to end."""
        key_noise, key_init, key_unroll = jax.random.split(key, 3)
        surrogate = self._surrogate(inner, theta, key_init, key_unroll)
        guides = jnp.concatenate([surrogate[None], state.guides[:-1]])
        noise = self._noise(key_noise, guides)
        scale = jnp.float32(1) if fraction is None else fraction
        thetas = antithetic(theta, scale.astype(noise.dtype) * noise)
        states = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        _, losses, metrics = unroll_pair(inner, thetas, states, key_unroll, inner.num_steps, self.objective)
        credit = self.beta * noise / scale.astype(noise.dtype)
        return PairResult(losses, credit, metrics), GuidedESState(guides)

    def _noise(self, key: Key[Array, ""], guides: Float[Array, "k n"]) -> Float[Array, " n"]:
        k, n = guides.shape
        key_all, key_guided = jax.random.split(key)
        basis, _ = jnp.linalg.qr(guides.T)  # of zeros: unit vectors
        everywhere = jax.random.normal(key_all, (n,), guides.dtype)
        guided = basis @ jax.random.normal(key_guided, (k,), guides.dtype)
        return self.sigma * (jnp.sqrt(self.alpha / n) * everywhere + jnp.sqrt((1 - self.alpha) / k) * guided)

    def _surrogate(
        self, inner: InnerLoop, theta: Any, key_init: Key[Array, ""], key_unroll: Key[Array, ""]
    ) -> Float[Array, " n"]:
        """The sum over windows of the gradient of each window's loss, given the state at its start."""

        def add_window(carry: tuple[Any, Array], key: Key[Array, ""]) -> tuple[tuple[Any, Array], None]:
            lifetime, total = carry

            def window_loss(theta: Any) -> tuple[Array, Any]:
                after, loss, _ = unroll(inner, theta, lifetime, key, self.window, self.objective)
                return loss, after

            gradient, lifetime = jax.grad(window_loss, has_aux=True)(theta)
            return (lifetime, total + to_vector(gradient)), None

        keys = jax.random.split(key_unroll, inner.num_steps // self.window)
        start = (inner.init(theta, key_init), jnp.zeros((num_elements(theta),), to_vector(theta).dtype))
        (_, total), _ = jax.lax.scan(add_window, start, keys)
        finite = jnp.all(jnp.isfinite(total))
        length = jnp.linalg.norm(jnp.where(finite, total, 0))
        return jnp.where(finite & (length > 0), total / jnp.where(length > 0, length, 1), 0)
