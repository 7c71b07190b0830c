"""Evaluations as data: what `heurax evaluate` wrote."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from heurax.analysis.reading import flat_fields, read_json, read_table, require_directory
from heurax.errors import HeuraxError

__all__ = ["EvaluationData", "load_evaluation"]

SUMMARY = {"learned", "baselines", "best_baseline", "paired_difference", "seeds_won", "num_seeds", "num_steps"}


@dataclass(frozen=True)
class EvaluationData:
    """A learned optimizer beside tuned baselines.

    Attributes:
        path: its directory.
        finals: one row per optimizer, learning rate and seed: `optimizer`, `learning_rate` (NaN for the learned one),
            `tuned`, `seed`, `mean_train_loss`, `final_train_loss`, `final_validation_loss`, `final_test_loss`.
        curves: training loss per step of the learned optimizer and of the tuned baselines: `optimizer`, `step`, `mean`
            over seeds, `low` and `high`, the ends of its bootstrap interval.
        summary: means, intervals and the paired difference to the best baseline.
        config: how it was measured.
        identity: which artifact was measured: its name and the digest of its arrays.
    """

    path: Path
    finals: pd.DataFrame
    curves: pd.DataFrame
    summary: dict[str, Any]
    config: dict[str, Any]
    identity: dict[str, Any]

    @property
    def fields(self) -> dict[str, Any]:
        """The config by dotted names, as the command line sets them."""
        return flat_fields(self.config)


def load_evaluation(path: str | os.PathLike[str]) -> EvaluationData:
    """Read the directory of an evaluation, which may also be that of a run.

    Args:
        path: the directory, as `heurax evaluate --out` wrote it.

    Raises:
        HeuraxError: there is no evaluation, or a file of it is damaged.
    """
    path = Path(path)
    require_directory(path, "evaluation", "evaluation.json")
    summary = read_json(path / "evaluation.json")
    identity = summary.pop("identity", None)
    if not isinstance(identity, dict) or "config" not in identity or not summary.keys() >= SUMMARY:
        raise HeuraxError(f"there is no evaluation at {path}: its evaluation.json is not heurax's")
    config = identity.pop("config")
    finals = read_table(path / "evaluation.csv", ("optimizer", "learning_rate", "seed", "final_train_loss"))
    curves = read_table(path / "evaluation_curves.csv", ("optimizer", "step", "mean", "low", "high"))
    return EvaluationData(path, finals, curves, summary, config, identity)
