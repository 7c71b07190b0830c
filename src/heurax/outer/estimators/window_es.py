"""What evolutionary estimators over windows share: lifetimes that go on from window to window, and their clocks."""

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
from heurax.outer.truncation import ConstantLength, Start, Truncation

__all__ = ["WindowES", "WindowESState"]


@struct.dataclass
class WindowESState:
    """One task between two windows.

    Attributes:
        lifetimes: those that go on, a pair (leading axis 2) unless the estimator says otherwise.
        memory: what the estimator knows of the noise that has shaped them.
        clock: of the truncation schedule.
    """

    lifetimes: Any
    memory: Any
    clock: Any


@dataclass(frozen=True)
class WindowES(EvolutionaryEstimator):
    """Antithetic evolution strategies over windows.

    A subclass says what noise a window is run with, and what its loss difference is credited to (`perturb`).

    Args:
        window: inner steps per estimate; divides the horizon.
        truncation: how long lifetimes are.
    """

    window: int = 20
    truncation: Truncation = ConstantLength()

    @abc.abstractmethod
    def init_memory(self, theta: Any) -> Any:
        """What is known of noise before there was any; the first window forgets it."""

    @abc.abstractmethod
    def perturb(self, inner: InnerLoop, memory: Any, drawn: Noise, start: Start) -> tuple[Noise, Any]:
        """The noise of a window, and what is to be known of it later; `drawn` is fresh."""

    def keep(self, pair: Any) -> Any:
        """Of both lifetimes at the end of a window, those that go on."""
        return pair

    def resume(self, lifetimes: Any) -> Any:
        """Both lifetimes at the start of a window."""
        return lifetimes

    def stagger(self, index: Int[Array, ""]) -> Int[Array, ""]:
        """The index by which a task's clock is staggered: its own, so that every task has its own place in time."""
        return index

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows."""
        self.truncation.validate(inner, self.window)

    def inner_steps(self, inner: InnerLoop) -> int:
        """Two windows per task."""
        del inner  # unused: a window is a window
        return 2 * self.num_tasks * self.window

    def init_pair(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]) -> WindowESState:
        """Lifetimes that the first window replaces, and a clock."""
        lifetime = inner.init(theta, key)
        return WindowESState(
            lifetimes=self.keep(jax.tree.map(lambda x: jnp.stack([x, x]), lifetime)),
            memory=self.init_memory(theta),
            clock=self.truncation.init(self.stagger(index), self.num_tasks, inner.num_steps, self.window),
        )

    def run_pair(
        self, inner: InnerLoop, theta: Any, state: WindowESState, key: Key[Array, ""], fraction: Float[Array, ""] | None
    ) -> tuple[PairResult, WindowESState]:
        """The next window of both lifetimes, which begin anew where the last ones have ended."""
        key_noise, key_init, key_unroll, key_length = jax.random.split(key, 4)
        start = self.truncation.begin(state.clock, key_length, inner.num_steps, self.window)
        noise, memory = self.perturb(inner, state.memory, self.draw(key_noise, theta, fraction), start)
        thetas = antithetic(theta, noise.perturbation)
        fresh = jax.vmap(lambda theta: inner.init(theta, key_init))(thetas)
        pair = jax.tree.map(lambda new, old: jnp.where(start.begins, new, old), fresh, self.resume(state.lifetimes))
        pair, losses, metrics = unroll_pair(inner, thetas, pair, key_unroll, self.window, self.objective)
        after = WindowESState(self.keep(pair), memory, self.truncation.end(start.clock, self.window))
        return PairResult(losses, noise.credit, metrics), after
