"""ForwardGradient: forward-mode differentiation that runs along with a lifetime."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate
from heurax.outer.estimators.gradients import GradientEstimator, estimate_or_zero
from heurax.outer.trees import from_vector, num_elements, split_floats, to_vector
from heurax.outer.truncation import ConstantLength, Truncation
from heurax.outer.unroll import unroll

__all__ = ["ForwardGradient", "ForwardGradientState"]


@struct.dataclass
class ForwardGradientState:
    """One task's lifetime, its derivatives along each direction (leading axis), the directions, and its clock.

    Attributes:
        lifetime: a state of the inner loop.
        tangents: derivatives of the floating-point leaves of the lifetime.
        directions: vectors in the space of theta; None where they are its axes.
        clock: of the lifetime.
    """

    lifetime: Any
    tangents: Any
    directions: Any
    clock: Any


@dataclass(frozen=True)
class ForwardGradient(GradientEstimator):
    """Directional derivatives of windows, with all of the past in them, at a memory that no horizon enlarges.

    The derivative `s' = d state / d theta . v` is carried from window to window with the state itself. With
    `num_directions` null, v runs over the axes: the gradient of each window is exact (real-time recurrent learning),
    which is for rules with few meta-parameters. Otherwise each lifetime draws that many `v ~ N(0, I)`, and
    `g = mean_v (dL . v) v`: unbiased, with a variance that grows with the number of meta-parameters. While `theta`
    moves, carried derivatives are those of the `theta` of their time.

    Source: Williams and Zipser 1989 (exact); Silver et al. 2021, arXiv:2108.05542 and Baydin et al. 2022,
    arXiv:2202.08587 (random directions). The inner loop must admit forward-mode differentiation.

    Args:
        num_tasks: tasks in parallel; >= 1.
        window: inner steps per estimate; divides the horizon.
        objective: `mean` of the step losses over the window, or `final`: the inner loop's meta-loss at its end.
        truncation: how long lifetimes are.
        num_directions: random directions per task; >= 1, or null for the axes.

    Further options: see `GradientEstimator`.
    """

    window: int = 20
    truncation: Truncation = ConstantLength()
    num_directions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_directions is not None and self.num_directions < 1:
            raise ValueError(f"num_directions must be >= 1 or null, got {self.num_directions}")

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows."""
        self.truncation.validate(inner, self.window)

    def inner_steps(self, inner: InnerLoop) -> int:
        """One window per task, with its derivatives."""
        del inner  # unused: a window is a window
        return self.num_tasks * self.window

    def init_task(
        self, inner: InnerLoop, theta: Any, key: Key[Array, ""], index: Int[Array, ""]
    ) -> ForwardGradientState:
        """A state that the first window replaces, and a staggered clock."""
        lifetime = inner.init(theta, key)
        floats, _, _ = split_floats(lifetime)
        count = num_elements(theta) if self.num_directions is None else self.num_directions
        vector = to_vector(theta)
        return ForwardGradientState(
            lifetime=lifetime,
            tangents=[jnp.zeros((count, *leaf.shape), leaf.dtype) for leaf in floats],
            directions=None if self.num_directions is None else jnp.zeros((count, vector.size), vector.dtype),
            clock=self.truncation.init(index, self.num_tasks, inner.num_steps, self.window),
        )

    def run_task(
        self, inner: InnerLoop, theta: Any, state: ForwardGradientState, key: Key[Array, ""]
    ) -> tuple[Estimate, ForwardGradientState]:
        """The next window, differentiated along all directions at once."""
        key_init, key_unroll, key_length, key_directions = jax.random.split(key, 4)
        start = self.truncation.begin(state.clock, key_length, inner.num_steps, self.window)
        if state.directions is None:
            vectors, renews = jnp.eye(num_elements(theta), dtype=to_vector(theta).dtype), start.begins
        else:
            renews = start.forgets
            drawn = jax.random.normal(key_directions, state.directions.shape, state.directions.dtype)
            vectors = jnp.where(renews, drawn, state.directions)

        floats, others, join = split_floats(state.lifetime)
        fresh_floats, fresh_others, _ = split_floats(inner.init(theta, key_init))
        floats, others = jax.tree.map(
            lambda new, old: jnp.where(start.begins, new, old), (fresh_floats, fresh_others), (floats, others)
        )

        def run(theta: Any, floats: list[Array]) -> tuple[Any, Any]:
            lifetime, loss, metrics = unroll(
                inner, theta, join(floats, others), key_unroll, self.window, self.objective
            )
            floats, others_after, _ = split_floats(lifetime)
            return (floats, loss), (others_after, metrics)

        def differentiate(vector: Array, tangents: list[Array]) -> Any:
            direction = from_vector(vector, theta)
            _, fresh = jax.jvp(lambda theta: split_floats(inner.init(theta, key_init))[0], (theta,), (direction,))
            tangents = [
                jnp.where(start.begins, new, jnp.where(renews, jnp.zeros_like(old), old))
                for new, old in zip(fresh, tangents, strict=True)
            ]
            (floats_after, loss), (tangents, slope), (others_after, metrics) = jax.jvp(
                run, (theta, floats), (direction, tangents), has_aux=True
            )
            return tangents, slope, (join(floats_after, others_after), loss, metrics)

        # The lifetime itself does not depend on the direction: vmap leaves it unbatched.
        tangents, slopes, (lifetime, loss, metrics) = jax.vmap(differentiate, out_axes=(0, 0, None))(
            vectors, state.tangents
        )
        gradient = slopes.astype(vectors.dtype) @ vectors
        if state.directions is not None:
            gradient = gradient / vectors.shape[0]
        directions = None if state.directions is None else vectors
        after = ForwardGradientState(lifetime, tangents, directions, self.truncation.end(start.clock, self.window))
        return estimate_or_zero(gradient, loss, metrics), after
