"""What a sweep is: the config behind `heurax sweep`."""

from dataclasses import dataclass, field
from typing import Any

from heurax.sweeps.launchers import Launcher, Local
from heurax.sweeps.metric import Metric
from heurax.sweeps.search import Search

__all__ = ["SweepConfig"]


@dataclass(frozen=True)
class SweepConfig:
    """Many runs of one config.

    Args:
        base: the config that every trial starts from: a name that `heurax list configs` shows, or a YAML file.
        search: which values are tried: `Grid`, `Listed`, `Random` or `Optuna`.
        overrides: fields of the base config that are the same in all trials, by their dotted names.
        seeds: every point is tried with each; at least one.
        metric: what is optimised.
        launcher: where trials run: `Local`, `Ray` or `Slurm`.
    """

    base: str
    search: Search
    overrides: dict[str, Any] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    metric: Metric = Metric()
    launcher: Launcher = Local()

    def __post_init__(self) -> None:
        if not self.seeds:
            raise ValueError("seeds must not be empty")
        outside = [seed for seed in self.seeds if not 0 <= seed < 2**32]
        if outside:
            raise ValueError(f"seeds must be in [0, 2**32), got {outside[0]}")
        if "seed" in (*self.search.fields, *self.overrides):
            raise ValueError("seed must be given by seeds, not by search or overrides")
        if self.launcher.trials_per_job > 1 and self.search.prunes:
            raise ValueError("trials that run together cannot be pruned: set launcher.together to 1, or no pruner")
