"""Average: several estimators at once, weighted."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import Estimate, Estimator

__all__ = ["Average"]


@dataclass(frozen=True)
class Average(Estimator):
    """`g = sum_i w_i g_i / sum_i w_i`: for instance of an evolutionary estimator and a meta-gradient.

    Each estimator has lifetimes and random numbers of its own. Loss and metrics are averaged with the same weights (a
    metric, over the estimators that report it), and `metrics["gradient_norm_i"]` is the norm of estimate i: with norms
    of different orders, the weights do not say which one leads.

    The idea of mixing the two kinds: Metz et al. 2019, arXiv:1810.10180, who weigh by inverse variance; fixed weights
    are ours.

    Args:
        estimators: at least one, all with the same `num_tasks`.
        weights: one per estimator, each > 0; null weighs all alike.
    """

    estimators: tuple[Estimator, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.estimators:
            raise ValueError("estimators must not be empty")
        counts = [estimator.num_tasks for estimator in self.estimators]
        if len(set(counts)) > 1:
            raise ValueError(f"estimators must have the same num_tasks, got {counts}")
        if self.weights is not None and len(self.weights) != len(self.estimators):
            raise ValueError(f"weights must be one per estimator, got {len(self.weights)} for {len(self.estimators)}")
        if self.weights is not None and not all(weight > 0 for weight in self.weights):
            raise ValueError(f"weights must be > 0, got {list(self.weights)}")

    @property
    def num_tasks(self) -> int:
        """That of each estimator."""
        return self.estimators[0].num_tasks

    def validate(self, inner: InnerLoop) -> None:
        """All of them must fit."""
        for estimator in self.estimators:
            estimator.validate(inner)

    def inner_steps(self, inner: InnerLoop) -> int:
        """Those of all estimators."""
        return sum(estimator.inner_steps(inner) for estimator in self.estimators)

    def init(self, inner: InnerLoop, theta: Any, key: Key[Array, ""], axis_name: str | None = None) -> Any:
        """One state per estimator."""
        keys = jax.random.split(key, len(self.estimators))
        return tuple(e.init(inner, theta, k, axis_name) for e, k in zip(self.estimators, keys, strict=True))

    def estimate(
        self, inner: InnerLoop, theta: Any, state: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[Estimate, Any]:
        """See `Estimator.estimate`."""
        keys = jax.random.split(key, len(self.estimators))
        results = [
            e.estimate(inner, theta, s, k, axis_name) for e, s, k in zip(self.estimators, state, keys, strict=True)
        ]
        estimates = [estimate for estimate, _ in results]
        weights = self.weights or (1.0,) * len(estimates)

        def average(trees: list[Any], weights: list[float]) -> Any:
            total = sum(weights)
            return jax.tree.map(lambda *xs: sum(w / total * x for w, x in zip(weights, xs, strict=True)), *trees)

        metrics = {}
        for name in dict.fromkeys(name for estimate in estimates for name in estimate.metrics):
            having = [(e.metrics[name], w) for e, w in zip(estimates, weights, strict=True) if name in e.metrics]
            metrics[name] = average([value for value, _ in having], [weight for _, weight in having])
        for index, estimate in enumerate(estimates):
            metrics[f"gradient_norm_{index}"] = jnp.asarray(optax.tree.norm(estimate.gradient))
        gradient = average([estimate.gradient for estimate in estimates], list(weights))
        loss = average([estimate.loss for estimate in estimates], list(weights))
        return Estimate(gradient, loss, metrics), tuple(state for _, state in results)
