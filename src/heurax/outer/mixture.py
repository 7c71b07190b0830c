"""Mixture: descent on several families of different shapes, which take turns."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import PartitionSpec
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import REPLICATED, Estimator, Metrics, OuterLoop
from heurax.outer.descent import Descent, DescentState
from heurax.outer.estimators import PersistentES
from heurax.outer.families import Family, RandomFamilies
from heurax.outer.normalised import LogLoss, RelativeLoss, baseline_loss
from heurax.outer.optimizer import OuterOptimizer
from heurax.outer.turns import turns
from heurax.rules import OptaxOptimizer, Rule

__all__ = ["Mixture", "MixtureState"]

SHARED_METRICS = ("meta_loss", "gradient_norm", "theta_norm")


@struct.dataclass
class MixtureState:
    """The whole truth of a run by mixture, as in `DescentState`; what belongs to one family is in a dict, by its name.

    `baselines` has the baseline's loss (`f32[]`) of families that are normalised by it.
    """

    theta: Any
    optimizer_state: Any
    estimator_states: Any
    baselines: Any
    key: Any
    step: Any


@dataclass(frozen=True)
class Mixture(OuterLoop):
    """Descend on one family after another: one `theta`, one outer optimizer, unroll states of each family's own.

    Every family is a compiled program of its own. An outer step belongs to one of them, by a schedule that follows from
    the weights and the step alone: after n turns a family has had at least its share of them, rounded down
    (`heurax.outer.turns.turns`). `optimizer.accumulate` averages the meta-gradients of several steps, and so of several
    families, before `theta` moves.

    Metrics of a step: `meta_loss` (of the family whose turn it was, as normalised), `gradient_norm`, `theta_norm`, and
    all that `Descent` reports as `NAME/...`; where losses are normalised by `log` or `baseline`, `NAME/loss` is the
    mean step loss before.

    Normalisation, which a mixture of incomparable losses needs, follows Metz et al. 2022 (VeLO), arXiv:2211.09760, for
    signs, and for baselines their evaluation's.

    Args:
        families: what takes turns; none where there are `random` ones, or else at least one.
        random: further families, drawn at random.
        turn_length: outer steps in a row by one family; >= 1.
        baseline: a fixed rule, for families that are normalised by it; it must suit their inner loops.
        estimator: of families that name none. All estimators have the same `num_tasks`.
        optimizer: uses the meta-gradients of all families.
        num_steps: outer steps in a run; >= 1.
    """

    families: tuple[Family, ...] = ()
    random: RandomFamilies = RandomFamilies()
    turn_length: int = 1
    baseline: Rule = OptaxOptimizer("adam", 1e-2)
    estimator: Estimator = PersistentES()
    optimizer: OuterOptimizer = OuterOptimizer()
    num_steps: int = 5000

    def __post_init__(self) -> None:
        for name in ("turn_length", "num_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.families and not self.random.count:
            raise ValueError("families must not be empty where random.count is 0")
        names = [family.name for family in self.families]
        taken = [*names, *(f"random_{i}" for i in range(self.random.count))]
        if len(set(taken)) < len(taken):
            raise ValueError(f"families must have different names, got {', '.join(taken)}")
        counts = {family.estimator_of(self.estimator).num_tasks for family in self.families} | {
            self.estimator.num_tasks
        }
        if len(counts) > 1:
            raise ValueError(f"all estimators must have the same num_tasks, got {sorted(counts)}")
        self.optimizer.build(self.num_steps)  # raises if they do not fit together

    def validate(self, inner: InnerLoop) -> None:
        """Every family's estimator must fit its inner loop."""
        for family in self._families(inner):
            ours = family.inner_with_rule(inner)
            try:
                family.estimator_of(self.estimator).validate(ours)
            except ValueError as error:
                raise ValueError(f"family {family.name!r}: {error}") from error

    @property
    def num_tasks(self) -> int:
        """Tasks of each estimator."""
        return self.estimator.num_tasks

    def inner_steps(self, inner: InnerLoop) -> int:
        """Those of one estimate, on average over the run."""
        each = [
            family.estimator_of(self.estimator).inner_steps(family.inner_with_rule(inner))
            for family in self._families(inner)
        ]
        return round(float(np.mean(np.asarray(each)[self._schedule])))

    def partition_specs(self, axis_name: str) -> Any:
        """The estimators' tasks are sharded; everything else is replicated."""
        return MixtureState(
            theta=REPLICATED,
            optimizer_state=REPLICATED,
            estimator_states=PartitionSpec(axis_name),
            baselines=REPLICATED,
            key=REPLICATED,
            step=REPLICATED,
        )

    def init(self, inner: InnerLoop, key: Key[Array, ""], axis_name: str | None = None) -> MixtureState:
        """Fresh meta-parameters, optimizer and lifetimes; baselines are lived here."""
        key_theta, key_families, key_steps = jax.random.split(key, 3)
        theta = inner.rule.init(key_theta)
        states, baselines = {}, {}
        for index, family in enumerate(self._families(inner)):
            key_estimator, key_baseline = jax.random.split(jax.random.fold_in(key_families, index))
            ours = family.inner_with_rule(inner)
            if family.normalise == "baseline":
                baselines[family.name] = baseline_loss(ours, self.baseline, key_baseline)
            estimator = family.estimator_of(self.estimator)
            states[family.name] = estimator.init(ours, theta, key_estimator, axis_name)
        return MixtureState(
            theta=theta,
            optimizer_state=self.optimizer.build(self.num_steps).init(theta),
            estimator_states=states,
            baselines=baselines,
            key=key_steps,
            step=jnp.zeros([], jnp.int32),
        )

    def step(self, inner: InnerLoop, state: MixtureState, axis_name: str | None = None) -> tuple[MixtureState, Metrics]:
        """One outer step, by the family whose turn it is, in one program for all: with their shared metrics alone."""
        programs = self.programs(inner)

        def branch(program: Callable[..., Any]) -> Callable[[MixtureState], tuple[MixtureState, Metrics]]:
            def run(state: MixtureState) -> tuple[MixtureState, Metrics]:
                state, metrics = program(state, axis_name)
                return state, {name: metrics[name] for name in SHARED_METRICS}

            return run

        turn = jnp.asarray(self._schedule)[state.step // self.turn_length]
        return jax.lax.switch(turn, [branch(program) for program in programs], state)

    def programs(self, inner: InnerLoop) -> tuple[Callable[..., tuple[MixtureState, Metrics]], ...]:
        """One per family."""

        def program(family: Family) -> Callable[..., tuple[MixtureState, Metrics]]:
            return lambda state, axis_name=None: self._turn(family, inner, state, axis_name)

        return tuple(program(family) for family in self._families(inner))

    def program_at(self, step: int) -> int:
        """That of the family whose turn it is."""
        return int(self._schedule[step // self.turn_length])

    def _turn(
        self, family: Family, inner: InnerLoop, state: MixtureState, axis_name: str | None
    ) -> tuple[MixtureState, Metrics]:
        """One step of descent on one family."""
        ours, name = family.inner_with_rule(inner), family.name
        if family.normalise == "log":
            ours = LogLoss(ours)
        elif family.normalise == "baseline":
            ours = RelativeLoss(ours, state.baselines[name])
        descent = Descent(family.estimator_of(self.estimator), self.optimizer, self.num_steps)
        before = DescentState(state.theta, state.optimizer_state, state.estimator_states[name], state.key, state.step)
        after, metrics = descent.step(ours, before, axis_name)
        state = dataclasses.replace(
            state,
            theta=after.theta,
            optimizer_state=after.optimizer_state,
            estimator_states={**state.estimator_states, name: after.estimator_state},
            step=after.step,
        )
        own = {f"{name}/{metric}": value for metric, value in metrics.items() if metric != "theta_norm"}
        return state, {metric: metrics[metric] for metric in SHARED_METRICS} | own

    def _families(self, inner: InnerLoop) -> tuple[Family, ...]:
        return (*self.families, *self.random.draw(inner))

    @property
    def _schedule(self) -> np.ndarray:
        """The index of the family of each turn."""
        weights = [family.weight for family in self.families] + [self.random.weight] * self.random.count
        return turns(weights, -(-self.num_steps // self.turn_length))
