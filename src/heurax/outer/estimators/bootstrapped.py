"""Bootstrapped: move `theta` so that learners get in few steps where they would get in more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate
from heurax.outer.estimators.gradients import WindowGradient, estimate_or_zero
from heurax.outer.unroll import unroll

__all__ = ["Bootstrapped"]


@dataclass(frozen=True)
class Bootstrapped(WindowGradient):
    """The gradient of the distance between a learner after K steps and its own, stop-gradient, future.

    With `x_K(theta)` the learner's parameters after the `window` of K steps, the target is reached by L - 1 further
    steps with the rule, then one of plain gradient descent on the meta-loss `f`:

        target = x_{K+L-1} - alpha grad f(x_{K+L-1}),      g = d/dtheta mu(stop_gradient(target), x_K(theta))

    Only the K steps are differentiated through. `mu` is the inner loop's `matching`: half the squared distance of
    parameters, or what the inner loop has instead (`SupervisedTraining(matching_function="kl")`: the Kullback-Leibler
    divergence of predictions, KL(target || learner)). With L = 1 and the squared distance, `g` is `alpha` times the
    ordinary meta-gradient of the window. The lifetime goes on from `x_K`, whose meta-loss is the loss that is
    reported.

    Source: Flennerhag et al. 2022, arXiv:2109.04504.

    Args:
        num_tasks: tasks in parallel; >= 1.
        window: K, inner steps that are differentiated through; divides the horizon.
        objective: only `final`: the target descends on the inner loop's meta-loss.
        truncation: how long lifetimes are.
        target_steps: L, steps from `x_K` to the target; >= 1.
        target_rate: alpha, learning rate of the last of them; > 0.

    Further options: see `GradientEstimator`.
    """

    objective: Literal["final"] = "final"
    target_steps: int = 1
    target_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.objective != "final":
            raise ValueError(f"objective must be final, got {self.objective}")
        if self.target_steps < 1:
            raise ValueError(f"target_steps must be >= 1, got {self.target_steps}")
        if not self.target_rate > 0:
            raise ValueError(f"target_rate must be > 0, got {self.target_rate}")

    def validate(self, inner: InnerLoop) -> None:
        """Lifetimes must be whole numbers of windows, and the inner loop's learners comparable."""
        super().validate(inner)

        def match(key: Key[Array, ""]) -> Array:
            lifetime = inner.init(inner.rule.init(key), key)
            return inner.matching(lifetime, lifetime, key)

        jax.eval_shape(match, jax.random.key(0))  # raises ValueError where there is no such measure

    def inner_steps(self, inner: InnerLoop) -> int:
        """A window and the way to the target, per task."""
        del inner  # unused: a window is a window
        return self.num_tasks * (self.window + self.target_steps)

    def run_window(
        self, inner: InnerLoop, theta: Any, begin: Callable[[Any], Any], key: Key[Array, ""]
    ) -> tuple[Estimate, Any]:
        """Unroll to the learner, on to its target, and differentiate the distance."""
        key_unroll, key_target, key_match = jax.random.split(key, 3)

        def distance(theta: Any) -> tuple[Array, Any]:
            lifetime, loss, metrics = unroll(inner, theta, begin(theta), key_unroll, self.window, "final")
            target = self.target(inner, theta, lifetime, key_target)
            return inner.matching(target, lifetime, key_match), (loss, lifetime, metrics)

        (matching, (loss, lifetime, metrics)), gradient = jax.value_and_grad(distance, has_aux=True)(theta)
        return estimate_or_zero(gradient, loss, metrics | {"matching": matching}), lifetime

    def target(self, inner: InnerLoop, theta: Any, lifetime: Any, key: Key[Array, ""]) -> Any:
        """The state to be matched; no gradient flows into it."""
        theta, lifetime = jax.lax.stop_gradient((theta, lifetime))
        key_unroll, key_last = jax.random.split(key)
        if self.target_steps > 1:
            lifetime, _, _ = unroll(inner, theta, lifetime, key_unroll, self.target_steps - 1, "mean")

        def loss_of(params: Any) -> Array:
            return inner.meta_loss(theta, inner.with_params(lifetime, params), key_last)

        params = inner.params(lifetime)
        descended = jax.tree.map(lambda p, g: p - self.target_rate * g, params, jax.grad(loss_of)(params))
        return jax.lax.stop_gradient(inner.with_params(lifetime, descended))
