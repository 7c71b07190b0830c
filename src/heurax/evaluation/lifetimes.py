"""Lifetimes with a rule that is fixed: what an agent, or any learner, comes to over many seeds."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
from jax.sharding import AxisType, PartitionSpec
from jaxtyping import Array, Key

from heurax.evaluation.statistics import Interval, bootstrap_mean
from heurax.files import disk_errors, write_text
from heurax.inner import InnerLoop, SupervisedTraining, train

__all__ = ["Lifetimes", "LifetimesConfig", "lifetimes_figure", "live", "write_lifetimes"]


@dataclass(frozen=True)
class LifetimesConfig:
    """Lifetimes that are lived side by side, each from beginning to end.

    Args:
        inner: one lifetime. Its rule is used as its `init` makes it: fresh, or as it was discovered
            (`PretrainedDrift`, `PretrainedObjective`, `PretrainedOptimizer`).
        num_seeds: lifetimes; >= 2.
        seed: of everything random.
        num_points: points per curve, each the mean over a stretch of steps; >= 1.
    """

    inner: InnerLoop = SupervisedTraining()
    num_seeds: int = 10
    seed: int = 0
    num_points: int = 200

    def __post_init__(self) -> None:
        if self.num_seeds < 2:
            raise ValueError(f"num_seeds must be >= 2, got {self.num_seeds}")
        if self.num_points < 1:
            raise ValueError(f"num_points must be >= 1, got {self.num_points}")


@dataclass(frozen=True)
class Lifetimes:
    """What lifetimes came to.

    Attributes:
        config: how they were lived.
        step: inner steps made by the end of each stretch, `[points]`.
        curves: the loss and every metric by name, means over stretches, `[seeds, points]`.
        meta_loss: at the end, `[seeds]`.
        compile_seconds: before the first began.
        run_seconds: of all lifetimes together.
    """

    config: LifetimesConfig
    step: np.ndarray
    curves: dict[str, np.ndarray]
    meta_loss: np.ndarray
    compile_seconds: float
    run_seconds: float

    @property
    def headline(self) -> str:
        """The curve to look at first: the return of agents, the loss of other learners."""
        return "episode_return" if "episode_return" in self.curves else "loss"

    def final(self, name: str, fraction: float = 0.1) -> np.ndarray:
        """Each lifetime's mean over the last part of a curve, `[seeds]`."""
        last = max(round(fraction * len(self.step)), 1)
        return self.curves[name][:, -last:].mean(axis=1)

    def table(self) -> pd.DataFrame:
        """One row per seed and stretch."""
        seeds, points = self.curves["loss"].shape
        return pd.DataFrame(
            {
                "seed": np.repeat(np.arange(seeds), points),
                "step": np.tile(self.step, seeds),
                **{name: values.ravel() for name, values in self.curves.items()},
            }
        )

    def summary(self) -> dict[str, Any]:
        """Everything that is quoted, as JSON: means over seeds with 95% bootstrap intervals."""
        finals = {f"final_{name}": self.final(name) for name in self.curves}
        described = {name: bootstrap_mean(values)._asdict() for name, values in finals.items()}
        described["meta_loss"] = bootstrap_mean(self.meta_loss)._asdict()
        return described | {
            "num_seeds": self.config.num_seeds,
            "num_steps": self.config.inner.num_steps,
            f"final_{self.headline}_by_seed": self.final(self.headline).tolist(),
            "compile_seconds": self.compile_seconds,
            "run_seconds": self.run_seconds,
        }


def live(config: LifetimesConfig) -> Lifetimes:
    """Live all lifetimes: one program, its seeds spread over the devices that there are."""
    inner = config.inner
    theta = inner.rule.init(jax.random.key(config.seed))

    def one(key: Key[Array, ""]) -> tuple[dict[str, Array], Array]:
        lifetime = train(inner, theta, key)
        return {"loss": lifetime.loss, **lifetime.metrics}, lifetime.meta_loss

    devices = max(n for n in range(1, len(jax.devices()) + 1) if config.num_seeds % n == 0)
    mesh = jax.make_mesh((devices,), ("seeds",), axis_types=(AxisType.Auto,), devices=jax.devices()[:devices])
    over_seeds = PartitionSpec("seeds")
    everyone = jax.jit(
        jax.shard_map(jax.vmap(one), mesh=mesh, in_specs=over_seeds, out_specs=over_seeds, check_vma=False)
    )
    keys = jax.random.split(jax.random.key(config.seed), config.num_seeds)
    started = time.monotonic()
    compiled = everyone.lower(keys).compile()
    compiled_at = time.monotonic()
    metrics, meta_loss = jax.device_get(compiled(keys))
    ended = time.monotonic()
    stretches = np.array_split(np.arange(inner.num_steps), min(config.num_points, inner.num_steps))
    return Lifetimes(
        config=config,
        step=np.array([stretch[-1] + 1 for stretch in stretches]),
        curves={
            name: np.stack([values[:, stretch].mean(axis=1) for stretch in stretches], axis=1)
            for name, values in metrics.items()
        },
        meta_loss=meta_loss,
        compile_seconds=compiled_at - started,
        run_seconds=ended - compiled_at,
    )


def write_lifetimes(directory: Path, lifetimes: Lifetimes, identity: dict[str, Any]) -> None:
    """Write `lifetimes.json`, `lifetimes.csv` and `lifetimes.png`.

    Args:
        directory: made if it is not there.
        lifetimes: what to write.
        identity: what was lived, and how; goes into the JSON.

    Raises:
        HeuraxError: they cannot be written.
    """
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "lifetimes.csv", lifetimes.table().to_csv(index=False, float_format="%.6g"))
    with disk_errors(directory / "lifetimes.png"):
        lifetimes_figure(lifetimes).savefig(directory / "lifetimes.png", dpi=160)
    write_text(directory / "lifetimes.json", json.dumps(lifetimes.summary() | {"identity": identity}, indent=2) + "\n")


def lifetimes_figure(lifetimes: Lifetimes) -> Any:
    """The headline curve: its mean over seeds, the 95% bootstrap interval, every seed.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure  # slow to import; and no pyplot, so no global state

    fig = Figure(figsize=(6, 4), layout="constrained")
    axes = fig.subplots()
    values, color = lifetimes.curves[lifetimes.headline], "#00798c"
    bands: list[Interval] = [bootstrap_mean(column, num_resamples=1000) for column in values.T]
    axes.plot(lifetimes.step, values.T, color=color, lw=0.4, alpha=0.4)
    axes.plot(lifetimes.step, [band.mean for band in bands], color=color, lw=1.8)
    axes.fill_between(
        lifetimes.step, [band.low for band in bands], [band.high for band in bands], color=color, alpha=0.2, lw=0
    )
    axes.set(xlabel="inner step", ylabel=lifetimes.headline.replace("_", " "))
    axes.set_title(f"{lifetimes.config.num_seeds} seeds, mean and 95% bootstrap interval", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, lw=0.5)
    return fig
