"""Steps and schedules: how far an optimizer goes over a training run, and what meta-training was scheduled to do."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from jaxtyping import Array, Key
from matplotlib.figure import Figure

from heurax.analysis.bands import curve_bands, thinned
from heurax.analysis.style import band, legend, line_styles, log_axis, new_figure, steps_axis
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, OuterLoop
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator
from heurax.rules import LearnedOptimizer

__all__ = ["schedule_figure", "schedule_table", "step_size_figure", "step_size_table"]

TINY = 1e-30
"""Keeps ratios of norms finite where nothing moves."""


class _Steps(NamedTuple):
    """An optimizer's state with the sizes of its latest step."""

    state: Any
    sizes: dict[str, Array]


@dataclass(frozen=True)
class _Recorded(LearnedOptimizer):
    """A rule that leaves the sizes of its latest step in its state."""

    rule: LearnedOptimizer

    def init(self, key: Key[Array, ""]) -> Any:
        return self.rule.init(key)

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        inner = self.rule.optimizer(theta, num_steps)

        def init(params: optax.Params) -> _Steps:
            zeros = jax.tree.map(jnp.zeros_like, params)
            return _Steps(inner.init(params), _sizes(zeros, zeros, params))

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, _Steps]:
            steps, kept = inner.update(updates, state.state, params, **extra_args)
            return steps, _Steps(kept, _sizes(steps, updates, params))

        return optax.GradientTransformationExtraArgs(init, update)


def _sizes(steps: Any, gradients: Any, params: Any) -> dict[str, Array]:
    steps, gradients, params = (optax.tree.cast(tree, jnp.float32) for tree in (steps, gradients, params))
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    norms: dict[str, Any] = {
        name: optax.tree.norm(tree) for name, tree in (("u", steps), ("g", gradients), ("p", params))
    }
    return {
        "update_rms": norms["u"] / count**0.5,
        "gradient_rms": norms["g"] / count**0.5,
        "relative_step": norms["u"] / jnp.maximum(norms["p"], TINY),
        "alignment": -jnp.asarray(optax.tree.vdot(steps, gradients)) / jnp.maximum(norms["u"] * norms["g"], TINY),
    }


def step_size_table(inner: SupervisedTraining, theta: Any, num_seeds: int = 8, seed: int = 0) -> pd.DataFrame:
    """Train with an optimizer and measure every step that it makes.

    Args:
        inner: the training run: rule, task and number of steps.
        theta: the rule's meta-parameters; `inner.rule.init(key)` for a hand-designed one.
        num_seeds: training runs; >= 1.
        seed: of everything random.

    Returns:
        A tidy table, one row per seed and step: `seed`, `step`, `loss`; `update_rms` and `gradient_rms`, root mean
        squares over all parameters; `relative_step`, the norm of the update over that of the parameters; `alignment`,
        the cosine between the update and the negative gradient.
    """
    if num_seeds < 1:
        raise ValueError(f"num_seeds must be >= 1, got {num_seeds}")
    recorded = dataclasses.replace(inner, rule=_Recorded(inner.rule))

    def live(key: Key[Array, ""]) -> dict[str, Array]:
        key_init, key_steps = jax.random.split(key)

        def step(state: Any, key: Key[Array, ""]) -> tuple[Any, dict[str, Array]]:
            state, result = recorded.step(theta, state, key)
            return state, {"loss": result.loss, **state.optimizer_state.sizes}

        keys = jax.random.split(key_steps, inner.num_steps)
        return jax.lax.scan(step, recorded.init(theta, key_init), keys)[1]

    measured = jax.device_get(jax.jit(jax.vmap(live))(jax.random.split(jax.random.key(seed), num_seeds)))
    columns = ("loss", "update_rms", "gradient_rms", "relative_step", "alignment")
    return pd.DataFrame(
        {
            "seed": np.repeat(np.arange(num_seeds), inner.num_steps),
            "step": np.tile(np.arange(1, inner.num_steps + 1), num_seeds),
            **{name: np.asarray(measured[name], float).ravel() for name in columns},
        }
    )


def step_size_figure(
    tables: Mapping[str, pd.DataFrame], value: str = "update_rms", label: str = "root mean square of updates"
) -> Figure:
    """How large the steps of optimizers are over training: means over seeds with 95% bootstrap intervals.

    Args:
        tables: of `step_size_table`, by the name of the optimizer.
        value: the column to show.
        label: of the vertical axis.

    Raises:
        ValueError: there are none.
    """
    if not tables:
        raise ValueError("tables must hold at least one table, got none")
    figure, panels = new_figure()
    axes = panels[0, 0]
    lowest, highest = np.inf, 0.0
    for (name, table), style in zip(tables.items(), line_styles(tables).values(), strict=True):
        curves: Any = table[["seed", "step", value]]
        bands: Any = curve_bands(thinned(curves, by=("seed",)), value)
        band(axes, bands["step"], bands["low"], bands["high"], style["color"])
        axes.plot(bands["step"], bands["mean"], label=name, **style)
        lowest, highest = min(lowest, bands["mean"].min()), max(highest, bands["mean"].max())
    if lowest > 0 and highest > 10 * lowest:
        log_axis(axes, "y", lowest, highest)
    steps_axis(axes, "inner step")
    axes.set_ylabel(label)
    legend(axes)
    return figure


def schedule_table(outer: OuterLoop, num_points: int = 400) -> pd.DataFrame:
    """What an outer loop is scheduled to do, over the outer steps of a run.

    Args:
        outer: of the run's config.
        num_points: at most so many steps are listed; >= 2.

    Returns:
        The column `step`, and where the outer loop descends, `learning_rate`; where its estimator perturbs `theta`,
        `sigma`, that of an estimate which is never reset.
    """
    if num_points < 2:
        raise ValueError(f"num_points must be >= 2, got {num_points}")
    steps = np.unique(np.linspace(0, outer.num_steps, num_points).round().astype(np.int32))
    columns: dict[str, np.ndarray] = {"step": steps}
    if isinstance(outer, Descent):
        schedule = outer.optimizer.learning_rates(outer.num_steps)
        columns["learning_rate"] = np.asarray(jax.vmap(schedule)(jnp.asarray(steps, jnp.float32)), float)
        if isinstance(outer.estimator, EvolutionaryEstimator):
            fraction = jax.vmap(outer.estimator.sigma_schedule.fraction)(jnp.asarray(steps))
            columns["sigma"] = outer.estimator.sigma * np.asarray(fraction, float)
    return pd.DataFrame(columns)


def schedule_figure(table: pd.DataFrame) -> Figure:
    """Scheduled values over outer steps, a panel each.

    Args:
        table: of `schedule_table`.

    Raises:
        ValueError: nothing is scheduled.
    """
    names = [name for name in table if name != "step"]
    if not names:
        raise ValueError(f"the table must have a column beside step, got {list(table.columns)}")
    figure, panels = new_figure(rows=len(names), height=1.9, sharex=True)
    for axes, name, style in zip(panels[:, 0], names, line_styles(map(str, names)).values(), strict=True):
        axes.plot(table["step"], table[name], **style)
        axes.set(ylabel=str(name).replace("_", " "))
        axes.set_ylim(0, 1.08 * table[name].max())
    steps_axis(panels[-1, 0], "outer step")
    return figure
