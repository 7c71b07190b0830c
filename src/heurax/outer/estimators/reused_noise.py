"""What `NoiseReuseES` and `ESSingle` share: windows of pairs that keep their noise for several windows."""

import abc
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator, Noise, PairResult, unroll_pair
from heurax.outer.perturbation import antithetic
from heurax.outer.truncation import ConstantLength, Truncation

__all__ = ["ReusedNoise", "ReusedNoiseState"]


@struct.dataclass
class ReusedNoiseState:
    """One task's pair of lifetimes (leading axis 2), its noise, what loss differences are credited to, and its clock.

    `credit_sum` is the sum of the credits of all noise since the lifetime began.
    """

    pair: Any
    perturbation: Any
    credit_sum: Any
    clock: Any


@dataclass(frozen=True)
class ReusedNoise(EvolutionaryEstimator):
    """Windows of persistent pairs whose noise is renewed when a lifetime begins, and every `noise_steps` after.

    Args:
        window: inner steps per estimate; divides the horizon.
        truncation: how long lifetimes are.
    """

    window: int = 20
    truncation: Truncation = ConstantLength()

    @abc.abstractmethod
    def noise_steps(self, inner: InnerLoop) -> int:
        """Inner steps between draws of noise; a multiple of the window."""

    @abc.abstractmethod
    def stagger(self, index: Int[Array, ""]) -> Int[Array, ""]:
        """The index by which a task's clock is staggered."""

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes, and the steps between draws of noise, must be whole numbers of windows."""
        self.truncation.validate(inner, self.window)
        steps = self.noise_steps(inner)
        if not self.window <= steps <= inner.num_steps or steps % self.window:
            raise ValueError(
                f"reuse must be a multiple of window = {self.window}, at most inner.num_steps = {inner.num_steps}; "
                f"got {steps}"
            )

    def inner_steps(self, inner: InnerLoop) -> int:
        """Two windows per task."""
        del inner  # unused: a window is a window
        return 2 * self.num_tasks * self.window

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> ReusedNoiseState:
        """A state that the first window replaces, and a clock."""
        lifetime = inner.init(theta, key)
        zeros = jax.tree.map(jnp.zeros_like, theta)
        return ReusedNoiseState(
            pair=jax.tree.map(lambda x: jnp.stack([x, x]), lifetime),
            perturbation=zeros,
            credit_sum=zeros,
            clock=self.truncation.init(self.stagger(index), self.num_tasks, inner.num_steps, self.window),
        )

    def run_pair(
        self,
        inner: InnerLoop,
        theta: Any,
        state: ReusedNoiseState,
        key: Key[Array, ""],
        fraction: Float[Array, ""] | None,
    ) -> tuple[PairResult, ReusedNoiseState]:
        """The next window of both lifetimes."""
        key_noise, key_init, key_unroll, key_length = jax.random.split(key, 4)
        begins, time, clock = self.truncation.begin(state.clock, key_length, inner.num_steps, self.window)
        forgets = begins | (time == 0)
        renews = forgets | (time % self.noise_steps(inner) == 0)
        fresh_noise = self.draw(key_noise, theta, fraction)
        noise = Noise(
            jax.tree.map(lambda new, old: jnp.where(renews, new, old), fresh_noise.perturbation, state.perturbation),
            jax.tree.map(
                lambda new, old: jnp.where(forgets, new, jnp.where(renews, old + new, old)),
                fresh_noise.credit,
                state.credit_sum,
            ),
        )
        thetas = antithetic(theta, noise.perturbation)
        fresh = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        pair = jax.tree.map(lambda new, old: jnp.where(begins, new, old), fresh, state.pair)
        pair, losses, metrics = unroll_pair(inner, thetas, pair, key_unroll, self.window, self.objective)
        clock = self.truncation.end(clock, self.window)
        return PairResult(losses, noise.credit, metrics), ReusedNoiseState(pair, *noise, clock)
