"""The outer optimizer: any optimizer of optax, with warm-up, decay and clipping."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

import jax.numpy as jnp
import optax

from heurax.outer.trees import from_vector, to_vector

__all__ = ["OuterOptimizer"]

ELEMENTWISE = frozenset(
    {"adabelief", "adadelta", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan", "amsgrad", "lion", "nadam"}
    | {"nadamw", "radam", "rmsprop", "sgd", "sign_sgd", "yogi"}
)
"""Optimizers of optax that treat each number alike, whichever leaf it is in; a `mask` tells leaves apart."""


@dataclass(frozen=True)
class OuterOptimizer:
    """A description of the optax transformation that updates `theta`.

    Args:
        name: the function in `optax` that makes the optimizer: `adamw`, `adam`, `sgd`, `lion`, ...
        learning_rate: peak learning rate; > 0.
        warmup_steps: outer steps of linear warm-up from 0; >= 0 and less than the run's.
        schedule: what follows the warm-up: `cosine` decay to `final_fraction`, or `constant`.
        final_fraction: learning rate at the end of the run, as a fraction of the peak; in [0, 1].
        clip_norm: largest global norm of the meta-gradient; > 0. `.inf` does not clip.
        accumulate: outer steps whose meta-gradients are averaged into one update (`optax.MultiSteps`); >= 1.
            Warm-up and decay still count outer steps.
        options: further keyword arguments of the optax function.
    """

    name: str = "adamw"
    learning_rate: float = 3e-3
    warmup_steps: int = 50
    schedule: Literal["cosine", "constant"] = "cosine"
    final_fraction: float = 0.0
    clip_norm: float = 1.0
    accumulate: int = 1
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not callable(getattr(optax, self.name, None)):
            raise ValueError(f"name must be an optimizer of optax such as adamw, adam or sgd, got {self.name!r}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if self.warmup_steps < 0:
            raise ValueError(f"warmup_steps must be >= 0, got {self.warmup_steps}")
        if not 0 <= self.final_fraction <= 1:
            raise ValueError(f"final_fraction must be in [0, 1], got {self.final_fraction}")
        if not self.clip_norm > 0:
            raise ValueError(f"clip_norm must be > 0, got {self.clip_norm}")
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be >= 1, got {self.accumulate}")

    def learning_rates(self, num_steps: int) -> optax.Schedule:
        """The learning rate by outer step, for a run of `num_steps` outer steps.

        >>> float(OuterOptimizer(learning_rate=1.0, warmup_steps=4).learning_rates(num_steps=100)(2))
        0.5
        """
        if self.warmup_steps >= num_steps:
            raise ValueError(f"warmup_steps must be < num_steps = {num_steps}, got {self.warmup_steps}")
        decay_steps = num_steps - self.warmup_steps
        after = (
            optax.cosine_decay_schedule(self.learning_rate, decay_steps, alpha=self.final_fraction)
            if self.schedule == "cosine"
            else optax.constant_schedule(self.learning_rate)
        )
        warmup = optax.linear_schedule(0.0, self.learning_rate, max(self.warmup_steps, 1))
        return optax.join_schedules([warmup, after], [self.warmup_steps])

    def build(self, num_steps: int) -> optax.GradientTransformation:
        """The optax transformation for a run of `num_steps` outer steps.

        >>> transformation = OuterOptimizer(learning_rate=1e-2).build(num_steps=1000)
        """
        schedule = self.learning_rates(num_steps)
        if self.accumulate > 1:
            by_outer_step = schedule
            schedule = lambda update: by_outer_step(update * self.accumulate)  # noqa: E731 # as the other schedules
        optimizer = getattr(optax, self.name)(schedule, **self.options)
        if not math.isinf(self.clip_norm):
            optimizer = optax.chain(optax.clip_by_global_norm(self.clip_norm), optimizer)
        if self.accumulate > 1:
            optimizer = optax.MultiSteps(optimizer, every_k_schedule=self.accumulate).gradient_transformation()
        return _on_vector(optimizer) if self.name in ELEMENTWISE and "mask" not in self.options else optimizer


def _on_vector(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimizer on all numbers of a tree as one vector: else each leaf is several programs of its own to compile.

    As `optax.flatten`, which has no answer to an empty tree.
    """

    def init(params: optax.Params) -> optax.OptState:
        return optimizer.init(to_vector(params))

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        on_params = None if params is None else to_vector(params)
        vector, state = optimizer.update(to_vector(updates), state, on_params)
        return from_vector(jnp.asarray(vector), updates), state

    return optax.GradientTransformation(init, update)
