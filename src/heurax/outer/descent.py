"""Descent: improve `theta` with an estimate of the meta-gradient and an optax optimizer."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax.sharding import PartitionSpec
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import REPLICATED, Estimator, Metrics, OuterLoop
from heurax.outer.estimators import PersistentES
from heurax.outer.optimizer import OuterOptimizer
from heurax.outer.trees import to_vector

__all__ = ["Descent", "DescentState"]


@struct.dataclass
class DescentState:
    """The whole truth of a run by descent; `key` is a typed key, `step` is `i32[]`.

    Its fields are not typed as arrays, because trees of shapes and of shardings have this form as well.
    """

    theta: Any
    optimizer_state: Any
    estimator_state: Any
    key: Any
    step: Any


@dataclass(frozen=True)
class Descent(OuterLoop):
    """Estimate the meta-gradient, hand it to an optax optimizer, repeat.

    Metrics of a step: `meta_loss`, `gradient_norm` (before clipping), `theta_norm`, and those of the estimator.

    Args:
        estimator: estimates the meta-gradient.
        optimizer: uses it.
        num_steps: outer steps in a run; >= 1.
    """

    estimator: Estimator = PersistentES()
    optimizer: OuterOptimizer = OuterOptimizer()
    num_steps: int = 5000

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")
        self.optimizer.build(self.num_steps)  # raises if they do not fit together

    def validate(self, inner: InnerLoop) -> None:
        """See `OuterLoop.validate`."""
        self.estimator.validate(inner)

    @property
    def num_tasks(self) -> int:
        """Tasks of the estimator."""
        return self.estimator.num_tasks

    def inner_steps(self, inner: InnerLoop) -> int:
        """Those of one estimate."""
        return self.estimator.inner_steps(inner)

    def partition_specs(self, axis_name: str) -> Any:
        """The estimator's tasks are sharded; everything else is replicated."""
        return DescentState(
            theta=REPLICATED,
            optimizer_state=REPLICATED,
            estimator_state=PartitionSpec(axis_name),
            key=REPLICATED,
            step=REPLICATED,
        )

    def init(self, inner: InnerLoop, key: Key[Array, ""], axis_name: str | None = None) -> DescentState:
        """Fresh meta-parameters, optimizer and lifetimes."""
        key_theta, key_estimator, key_steps = jax.random.split(key, 3)
        theta = inner.rule.init(key_theta)
        return DescentState(
            theta=theta,
            optimizer_state=self.optimizer.build(self.num_steps).init(theta),
            estimator_state=self.estimator.init(inner, theta, key_estimator, axis_name),
            key=key_steps,
            step=jnp.zeros([], jnp.int32),
        )

    def step(self, inner: InnerLoop, state: DescentState, axis_name: str | None = None) -> tuple[DescentState, Metrics]:
        """One estimate, one update."""
        key = jax.random.fold_in(state.key, state.step)
        estimate, estimator_state = self.estimator.estimate(inner, state.theta, state.estimator_state, key, axis_name)
        updates, optimizer_state = self.optimizer.build(self.num_steps).update(
            estimate.gradient, state.optimizer_state, state.theta
        )
        theta = optax.apply_updates(state.theta, updates)
        metrics = {
            "meta_loss": estimate.loss,
            "gradient_norm": jnp.linalg.norm(to_vector(estimate.gradient)),
            "theta_norm": jnp.linalg.norm(to_vector(theta)),
            **estimate.metrics,
        }
        return dataclasses.replace(
            state, theta=theta, optimizer_state=optimizer_state, estimator_state=estimator_state, step=state.step + 1
        ), metrics
