"""A learned optimizer against tuned baselines: the same tasks, starts and batches for all."""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float, Key

from heurax.errors import HeuraxError
from heurax.evaluation.config import EvaluationConfig
from heurax.evaluation.statistics import Interval, bootstrap_mean
from heurax.inner import SupervisedTraining
from heurax.rules import LearnedOptimizer, OptaxOptimizer, Rule

__all__ = ["Evaluation", "Lives", "evaluate"]

EVALUATION_STREAM = 0x6576616C
"""Folded into the seed's key, so that evaluation never meets the random numbers of meta-training."""

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Lives:
    """Training runs of one optimizer, one per seed.

    Attributes:
        name: the optimizer.
        learning_rate: None for a learned optimizer.
        curve: training loss of each step's batch, `[seeds, steps]`.
        final: loss at the end over each whole split, `[seeds]`.
    """

    name: str
    learning_rate: float | None
    curve: np.ndarray
    final: dict[str, np.ndarray]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation measured.

    Attributes:
        config: how.
        learned: the learned optimizer.
        grids: of each baseline, one entry per learning rate.
    """

    config: EvaluationConfig
    learned: Lives
    grids: dict[str, list[Lives]]

    @property
    def tuned(self) -> dict[str, Lives]:
        """Each baseline at its best learning rate, by mean final training loss."""
        return {name: min(grid, key=lambda lives: lives.final["train"].mean()) for name, grid in self.grids.items()}

    @property
    def best_baseline(self) -> Lives:
        """The best of the tuned baselines."""
        return min(self.tuned.values(), key=lambda lives: lives.final["train"].mean())

    @property
    def paired_difference(self) -> Interval:
        """Final training loss of the learned optimizer minus that of the best tuned baseline, seed by seed."""
        return self._interval(self.learned.final["train"] - self.best_baseline.final["train"])

    def summary(self) -> dict[str, Any]:
        """Everything that is quoted, as JSON."""
        best = self.best_baseline
        difference = self.learned.final["train"] - best.final["train"]
        return {
            "learned": self._describe(self.learned),
            "baselines": {
                name: self._describe(lives)
                | {
                    "learning_rate_at_grid_edge": lives.learning_rate
                    in (self.config.learning_rates[0], self.config.learning_rates[-1]),
                    "grid": [
                        {"learning_rate": each.learning_rate, "final_train_loss": float(each.final["train"].mean())}
                        for each in self.grids[name]
                    ],
                }
                for name, lives in self.tuned.items()
            },
            "best_baseline": best.name,
            "paired_difference": self.paired_difference._asdict(),
            "seeds_won": int((difference < 0).sum()),
            "num_seeds": self.config.num_seeds,
            "num_steps": self.config.num_steps,
        }

    def table(self) -> pd.DataFrame:
        """One row per optimizer, learning rate and seed."""
        tuned = {id(lives) for lives in [self.learned, *self.tuned.values()]}
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "optimizer": lives.name,
                        "learning_rate": lives.learning_rate,
                        "tuned": id(lives) in tuned,
                        "seed": np.arange(self.config.num_seeds),
                        "mean_train_loss": lives.curve.mean(axis=1),
                        **{f"final_{split}_loss": lives.final[split] for split in SPLITS},
                    }
                ).astype({"learning_rate": "float64"})
                for lives in [self.learned, *(each for grid in self.grids.values() for each in grid)]
            ],
            ignore_index=True,
        )

    def curves(self) -> pd.DataFrame:
        """Training loss per step of the learned optimizer and the tuned baselines: mean and interval over seeds."""
        rows = []
        for lives in [self.learned, *self.tuned.values()]:
            intervals = [self._interval(losses, num_resamples=1000) for losses in lives.curve.T]
            rows.append(
                pd.DataFrame(intervals).assign(optimizer=lives.name, step=np.arange(1, self.config.num_steps + 1))
            )
        return pd.concat(rows, ignore_index=True).reindex(columns=["optimizer", "step", "mean", "low", "high"])

    def _describe(self, lives: Lives) -> dict[str, Any]:
        return {
            "name": lives.name,
            "learning_rate": lives.learning_rate,
            **{f"final_{split}_loss": self._interval(lives.final[split])._asdict() for split in SPLITS},
            "mean_train_loss": self._interval(lives.curve.mean(axis=1))._asdict(),
        }

    def _interval(self, values: np.ndarray, num_resamples: int | None = None) -> Interval:
        return bootstrap_mean(values, self.config.confidence, num_resamples or self.config.num_resamples)


def evaluate(rule: Rule, theta: Any, config: EvaluationConfig) -> Evaluation:
    """Train with the learned optimizer and with every baseline at every learning rate.

    Args:
        rule: a learned optimizer.
        theta: its meta-parameters.
        config: the comparison.

    Raises:
        HeuraxError: the rule is not a learned optimizer.
    """
    if not isinstance(rule, LearnedOptimizer):
        raise HeuraxError(f"{type(rule).__name__} is not a learned optimizer, so it cannot be evaluated as one")
    learned = _train(config, rule, jax.tree.map(lambda x: jnp.asarray(x)[None], theta))
    grids = {}
    for baseline in config.baselines:
        log_rates = jnp.log(jnp.asarray(config.learning_rates, jnp.float32))
        grid = _train(config, baseline, {"log_learning_rate": log_rates})
        grids[_label(baseline, grids)] = grid
    return Evaluation(
        config,
        _lives("learned", None, learned, 0),
        {
            name: [_lives(name, rate, grid, i) for i, rate in enumerate(config.learning_rates)]
            for name, grid in grids.items()
        },
    )


def _label(baseline: OptaxOptimizer, taken: dict[str, Any]) -> str:
    """A baseline's name, with its options where the name alone is taken."""
    options = ", ".join(f"{k}={v}" for k, v in baseline.options.items())
    return f"{baseline.name}({options})" if baseline.name in taken else baseline.name


def _lives(name: str, rate: float | None, results: tuple[np.ndarray, dict[str, np.ndarray]], index: int) -> Lives:
    curves, finals = results
    return Lives(name, rate, curves[index], {split: values[index] for split, values in finals.items()})


def _train(config: EvaluationConfig, rule: LearnedOptimizer, thetas: Any) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Lives of one rule for several `theta`: curves `[thetas, seeds, steps]`, final losses `[thetas, seeds]`."""
    inner = SupervisedTraining(rule, config.task, config.num_steps, loss_cap=config.loss_cap)

    def live(theta: Any, key: Key[Array, ""]) -> tuple[Float[Array, " steps"], dict[str, Float[Array, ""]]]:
        key_init, key_steps = jax.random.split(key)
        state, results = jax.lax.scan(
            functools.partial(inner.step, theta),
            inner.init(theta, key_init),
            jax.random.split(key_steps, config.num_steps),
        )
        final = {split: inner.evaluate(state, split) for split in SPLITS}
        return results.loss, jax.tree.map(lambda x: jnp.where(x < config.loss_cap, x, config.loss_cap), final)

    def live_all(thetas: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(config.seed), EVALUATION_STREAM)
        keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(config.num_seeds))
        return jax.vmap(lambda theta: jax.vmap(lambda key: live(theta, key))(keys))(thetas)

    return jax.device_get(jax.jit(live_all)(thetas))
