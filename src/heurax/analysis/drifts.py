"""Drifts seen from outside: their values and gradients over ratio and advantage, as tables and as heat-maps."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from heurax.analysis.style import DIVERGING, INK, SEQUENTIAL, color_bar, new_figure, title
from heurax.rules import DPO, PPOClip
from heurax.rules.drifts import DriftFunction

__all__ = ["drift_figure", "drift_table", "published_drifts"]

RATIO = "ratio of new and old policy"
TICKS = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0)


def published_drifts() -> dict[str, DriftFunction]:
    """The two that others are shown beside: PPO's clip at 0.2, and DPO.

    >>> list(published_drifts())
    ['PPO', 'DPO']
    """
    return {"PPO": PPOClip().drift(()), "DPO": DPO().drift(())}


def drift_table(
    drift: DriftFunction,
    ratios: Sequence[float] = tuple(np.geomspace(0.5, 2.0, 61)),
    advantages: Sequence[float] = tuple(np.linspace(-2.0, 2.0, 61)),
    progress: Sequence[float] = (0.5,),
) -> pd.DataFrame:
    """Tabulate a drift `f` and its gradient on a grid.

    Args:
        drift: elementwise function of log-ratio, advantage and training progress.
        ratios: of new and old policy; > 0.
        advantages: standardised, as the drift meets them.
        progress: fractions of training, in [0, 1].

    Returns:
        A tidy table with the columns `ratio`, `advantage`, `progress`, `drift` and `gradient`, which is `df / d ratio`.

    >>> table = drift_table(published_drifts()["DPO"], [1.0, 2.0], [2.0])
    >>> [round(value, 3) for value in table.drift.tolist()]
    [0.0, 0.477]
    """
    if min(ratios) <= 0:
        raise ValueError(f"ratios must be > 0, got {min(ratios)}")
    axes = (np.asarray(axis, np.float32) for axis in (ratios, advantages, progress))
    r, a, p = (x.ravel() for x in np.meshgrid(*axes, indexing="ij"))

    def of_ratio(ratio: jax.Array, advantage: jax.Array, done: jax.Array) -> jax.Array:
        return drift(jnp.log(ratio), advantage, done)

    value, gradient = jax.jit(jax.vmap(jax.value_and_grad(of_ratio)))(r, a, p)
    return pd.DataFrame(
        {"ratio": r, "advantage": a, "progress": p, "drift": np.asarray(value), "gradient": np.asarray(gradient)}
    )


def drift_figure(
    drifts: Mapping[str, DriftFunction], progress: float = 0.5, max_ratio: float = 2.0, max_advantage: float = 2.0
) -> Figure:
    """Heat-maps of drifts and of their gradients with respect to the ratio, each panel on a scale of its own.

    Args:
        drifts: by name, one column each; `{"learned": drift} | published_drifts()` for a learned one.
        progress: the fraction of training at which to look, in [0, 1].
        max_ratio: ratios go from its inverse to it, on a logarithmic axis; > 1.
        max_advantage: advantages go from minus it to it; > 0.

    Returns:
        A figure with two rows: `f` and `df / d ratio`.

    Raises:
        ValueError: no drifts, or an empty range.
    """
    if not drifts:
        raise ValueError("drifts must hold at least one drift, got none")
    if not (max_ratio > 1 and max_advantage > 0):
        raise ValueError(f"max_ratio must be > 1 and max_advantage > 0, got {max_ratio} and {max_advantage}")
    ratios = tuple(np.geomspace(1 / max_ratio, max_ratio, 121))
    advantages = tuple(np.linspace(-max_advantage, max_advantage, 121))
    tables = {name: drift_table(drift, ratios, advantages, (progress,)) for name, drift in drifts.items()}

    figure, axes = new_figure(2, len(drifts), width=3.2, height=2.6, sharex=True, sharey=True)
    for column, (name, table) in enumerate(tables.items()):
        _heat_map(axes[0, column], table, "drift", SEQUENTIAL)
        _heat_map(axes[1, column], table, "gradient", DIVERGING)
        title(axes[0, column], name)
    axes[0, 0].set_ylabel("drift f\nadvantage")
    axes[1, 0].set_ylabel("gradient ∂f/∂r\nadvantage")
    for axis in axes[1]:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if 1 / max_ratio <= tick <= max_ratio][::2]))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel(RATIO)
    return figure


def _heat_map(axis: Axes, table: pd.DataFrame, column: str, colors: Colormap) -> None:
    """One panel on a scale of its own, from which the largest hundredth of the values may stick out."""
    values = table.pivot_table(column, "advantage", "ratio")
    limit = max(float(np.quantile(np.abs(values), 0.99)), 1e-30)
    lowest = 0.0 if column == "drift" else -limit
    image = axis.pcolormesh(values.columns, values.index, values, cmap=colors, vmin=lowest, vmax=limit, rasterized=True)
    axis.grid(False)
    axis.axvline(1.0, color=INK, linewidth=0.6)
    axis.axhline(0.0, color=INK, linewidth=0.6)
    color_bar(axis, image, extend="max" if column == "drift" else "both")
