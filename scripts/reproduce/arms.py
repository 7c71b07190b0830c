"""What reproductions share: arms that are lived once and kept, and figures of their curves."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Key
from rich.console import Console

from heurax import artifacts
from heurax.config import find_config, read_config
from heurax.evaluation import Interval, LifetimesConfig, bootstrap_mean, live
from heurax.files import write_text
from heurax.inner import PPO, ActorTraining
from heurax.runs import TrainConfig
from heurax.runs.provenance import code_version, environment

__all__ = [
    "COLORS",
    "HELD_OUT",
    "Arm",
    "bands",
    "figure",
    "initial_artifact",
    "kept",
    "live_agents",
    "on_levels",
    "origin",
    "ratio_of_means",
    "slug",
    "theta_of",
    "untrained_agents",
    "without_last",
]

COLORS = ["#d1495b", "#00798c", "#edae49", "#30638e", "#6a994e"]
HELD_OUT = 1_000_003
"""The seed of everything random in an evaluation on levels; runs have small ones."""
console = Console(stderr=True)


class Arm(NamedTuple):
    """Curves of one agent on one environment.

    Attributes:
        env_step: environment steps made by each point, `[points]`.
        returns: mean return of the episodes that last ended, `[seeds, points]`.
        seconds: of all seeds together, compilation left out.
        code_version: that made it.
    """

    env_step: np.ndarray
    returns: np.ndarray
    seconds: float
    code_version: str | None

    @property
    def final(self) -> np.ndarray:
        """Each seed's mean over the last tenth of training."""
        return self.returns[:, -max(self.returns.shape[1] // 10, 1) :].mean(axis=1)


ARMS = Path("results/arms")
"""Arms that took long and come with the repository, as `kept` wrote them; they are not lived again."""


def kept(work: Path, name: str, identity: Any, make: Callable[[], tuple[np.ndarray, np.ndarray, float]]) -> Arm:
    """An arm from disk if it is there and was made in the same way, or else made and kept.

    Args:
        work: directory of arms, beside `results/arms`.
        name: of the arm.
        identity: JSON that says how it is made.
        make: returns environment steps, returns and seconds.
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    file = f"{name}-{digest}.json"
    path = ARMS / file if (ARMS / file).is_file() else work / file
    if not path.is_file():
        with console.status(name):
            env_step, returns, seconds = make()
        described = {
            "identity": identity,
            "env_step": np.asarray(env_step).tolist(),
            "returns": np.asarray(returns, np.float64).tolist(),
            "seconds": seconds,
            "code_version": code_version(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(described) + "\n")
        console.print(f"{name}: {seconds:,.0f} s", highlight=False)
    kept = json.loads(path.read_text())
    return Arm(np.array(kept["env_step"]), np.array(kept["returns"]), kept["seconds"], kept["code_version"])


AGENTS = Path("runs/reproduce/agents")
"""Where arms of agents are kept, for all reproductions: what one has lived, another need not."""
NUM_UNTRAINED_EPISODES = 16


def live_agents(name: str, config: str, overrides: Iterable[str], version: str = "") -> Arm:
    """The arm of a config of `configs/agents`, some of its fields overridden.

    Args:
        name: of the arm.
        config: its name.
        overrides: as on the command line.
        version: of what the config refers to and does not hold, such as an artifact.
    """
    settings, text = read_config(LifetimesConfig, find_config(config), list(overrides))
    inner = settings.inner
    assert isinstance(inner, PPO)

    def make() -> tuple[np.ndarray, np.ndarray, float]:
        lifetimes = live(settings)
        per_step = inner.num_envs * inner.num_rollout_steps
        return lifetimes.step * per_step, lifetimes.curves["episode_return"], lifetimes.run_seconds

    return kept(AGENTS, slug(f"{name}-{type(inner.rule).__name__}"), [text, version], make)


def untrained_agents(name: str, config: str, overrides: Iterable[str]) -> Arm:
    """The agents that `live_agents` begins with, as they are: one point, means over fresh episodes.

    What `live_agents` reports of their first update is no measure of them where no episode has ended yet.
    """
    settings, text = read_config(LifetimesConfig, find_config(config), list(overrides))
    inner = settings.inner
    assert isinstance(inner, PPO)

    def one(key: Key[Array, ""]) -> Float[Array, ""]:
        key_init, _, key_end = jax.random.split(key, 3)  # as `heurax.inner.train` does
        state = inner.init(inner.rule.init(jax.random.key(settings.seed)), key_init)
        return inner.evaluate(state, key_end, NUM_UNTRAINED_EPISODES).mean()

    def make() -> tuple[np.ndarray, np.ndarray, float]:
        keys = jax.random.split(jax.random.key(settings.seed), settings.num_seeds)
        compiled = jax.jit(jax.vmap(one)).lower(keys).compile()
        started = time.monotonic()
        returns = jax.device_get(compiled(keys))
        return np.zeros(1, int), returns[:, None], time.monotonic() - started

    return kept(AGENTS, slug(f"{name}-untrained"), [text, NUM_UNTRAINED_EPISODES], make)


def on_levels(
    work: Path, name: str, inner: PPO | ActorTraining, num_seeds: int, per_seed: int, seed: int, version: str = ""
) -> Arm:
    """Lifetimes on levels of their own, as means over the levels of each seed.

    The last point of each curve is the return of fresh episodes at the end. Arms of the same seed are paired: they have
    the same levels and random numbers.

    Args:
        work: directory of arms.
        name: of the arm.
        inner: one lifetime.
        num_seeds: rows of the arm.
        per_seed: lifetimes that a row is the mean of.
        seed: of everything random.
        version: of what `inner` refers to and does not hold, such as an artifact.
    """

    def make() -> tuple[np.ndarray, np.ndarray, float]:
        lifetimes = live(LifetimesConfig(inner, num_seeds=num_seeds * per_seed, seed=seed))
        curves = np.concatenate([lifetimes.curves["episode_return"], -lifetimes.meta_loss[:, None]], axis=1)
        steps = np.append(lifetimes.step, inner.num_steps) * inner.num_envs * inner.num_rollout_steps
        return steps, curves.reshape(num_seeds, per_seed, -1).mean(axis=1), lifetimes.run_seconds

    identity = [repr(inner), num_seeds, per_seed, version]
    return kept(work, name, identity if seed == HELD_OUT else [*identity, seed], make)


def slug(text: str) -> str:
    """Of an arm's description, a name for its file."""
    return "".join(c if c.isalnum() else "_" for c in text).lower()


def theta_of(artifact: Path) -> str:
    """What tells the meta-parameters of an artifact from others: the version of arms that live by it."""
    return hashlib.sha256((artifact / "theta.safetensors").read_bytes()).hexdigest()


def initial_artifact(path: Path, config: TrainConfig) -> Path:
    """Save the rule as a run of this config began, as an artifact."""
    theta = jax.jit(lambda key: config.outer.init(config.inner, key).theta)(jax.random.key(config.seed))
    artifacts.save(path, artifacts.Artifact(config.inner.rule, theta), overwrite=True)
    return path


def without_last(arm: Arm) -> Arm:
    """The curve of an arm of `on_levels`, without the returns of the fresh episodes."""
    return arm._replace(env_step=arm.env_step[:-1], returns=arm.returns[:, :-1])


def ratio_of_means(ours: np.ndarray, theirs: np.ndarray, num_resamples: int = 10_000) -> Interval:
    """The ratio of two means over paired seeds, and its 95% percentile interval when seeds are resampled together."""
    rows = np.random.default_rng(0).integers(ours.size, size=(num_resamples, ours.size))
    low, high = np.quantile(ours[rows].mean(axis=1) / theirs[rows].mean(axis=1), [0.025, 0.975])
    return Interval(float(ours.mean() / theirs.mean()), float(low), float(high))


def bands(arm: Arm, /, **columns: Any) -> pd.DataFrame:
    """Mean and 95% bootstrap interval over seeds at every point."""
    intervals = [bootstrap_mean(column, num_resamples=1000) for column in arm.returns.T]
    return pd.DataFrame(intervals).assign(env_step=arm.env_step, **columns)


def figure(curves: pd.DataFrame, title: str, columns: int = 4) -> Any:
    """One panel per `task`, one curve with its band per `arm`.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure

    tasks, arms = list(dict.fromkeys(curves["task"])), list(dict.fromkeys(curves["arm"]))
    columns = min(columns, len(tasks))
    rows = -(-len(tasks) // columns)
    fig = Figure(figsize=(3.2 * columns, 2.6 * rows + 0.6), layout="constrained")
    panels = np.ravel(fig.subplots(rows, columns, squeeze=False))
    for axes, task in zip(panels, tasks, strict=False):
        for arm, color in zip(arms, COLORS, strict=False):
            curve = curves[(curves["task"] == task) & (curves["arm"] == arm)]
            axes.plot(curve["env_step"], curve["mean"], color=color, lw=1.5, label=arm)
            axes.fill_between(curve["env_step"], curve["low"], curve["high"], color=color, alpha=0.2, lw=0)
        axes.set_title(task, fontsize=9)
        axes.set_xlabel("environment steps", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.5)
    for axes in panels[len(tasks) :]:
        axes.set_visible(False)
    ncols = min(len(arms), 2 * columns)
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols, frameon=False)
    fig.suptitle(title, fontsize=10)
    return fig


def origin(command: str, arms: Iterable[Arm]) -> dict[str, Any]:
    """How results came about: the command, the versions of the code that lived the arms, the environment."""
    arms = list(arms)
    return {
        "command": command,
        "code_versions": sorted({arm.code_version or "unknown" for arm in arms}),
        "environment": environment(),
        "seconds": sum(arm.seconds for arm in arms),
    }
