"""Sweeps: many runs of one base config, launched wherever there are machines, in one directory that can be resumed.

A **point** is one choice of values for the fields that are searched. A **trial** is a point with a seed: one ordinary
run of `heurax train`, in a run directory of its own. A sweep directory holds

    sweep.yaml           the resolved `SweepConfig`
    sweep.json           the table of trials, replaced in one piece whenever something changes; see below
    trials.csv           the same as a table: a row per trial, a column per searched field
    trials/NAME/         a run directory: config.yaml, metrics.jsonl, checkpoints/, artifact/, summary.json, ...
    trials/NAME/log.txt  what the trial's process has printed, errors in full
    optuna.db            Optuna's study (SQLite), of a sweep that searches with it
    submitit/            what submitit writes, of a sweep that is launched by it

`sweep.json` is

    {"schema": 1,
     "base": "learned_optimizers/quickstart",
     "metric": {"name": "meta_loss", "goal": "minimize", "source": "metrics", "tail": 0.1},
     "fields": ["outer.optimizer.learning_rate"],      dotted names of what is searched, without the seed
     "num_trials": 12,                                 planned; fewer are listed while points are still to be chosen
     "importance": {"outer.optimizer.learning_rate": 1.0} or null,    see `heurax.sweeps.importance`
     "trials": [{"name": "000-seed0", "point": 0, "seed": 0, "values": {"outer.optimizer.learning_rate": 0.001},
                 "status": "finished", "metric": 0.31, "outer_steps": 400, "attempts": 1, "seconds": 12.3,
                 "error": null}, ...]}

where `status` is one of `waiting`, `running`, `stopped` (saved; goes on when the sweep does), `finished`, `pruned`
(ended early by Optuna's pruner; its metric is that of what it did) and `failed` (`error` is its one sentence), and
`metric` is null until there is one. Numbers that are not finite are null. Trials come in the order of their points and
seeds; those of one point differ in the seed alone. `trials.csv` has the columns name, point, seed, status, metric,
outer_steps, attempts, seconds, error, then the fields by their dotted names (lists and mappings as JSON).
"""

from heurax.sweeps.config import SweepConfig
from heurax.sweeps.importance import importance
from heurax.sweeps.launchers import LAUNCHERS, Launcher, Local, Ray, Slurm
from heurax.sweeps.metric import Metric, read_metric
from heurax.sweeps.optuna_search import Optuna
from heurax.sweeps.search import Grid, Listed, ListedTrial, Random, Search
from heurax.sweeps.space import DISTRIBUTIONS, Choice, Distribution, Integer, LogUniform, Uniform
from heurax.sweeps.status import show_status, status_view
from heurax.sweeps.sweep import SweepResult, run_sweep
from heurax.sweeps.table import STATUSES, SweepTable, TrialRecord, read_table, write_table
from heurax.sweeps.trials import check_sweep

__all__ = [
    "DISTRIBUTIONS",
    "LAUNCHERS",
    "SEARCHES",
    "STATUSES",
    "Choice",
    "Distribution",
    "Grid",
    "Integer",
    "Launcher",
    "Listed",
    "ListedTrial",
    "Local",
    "LogUniform",
    "Metric",
    "Optuna",
    "Random",
    "Ray",
    "Search",
    "Slurm",
    "SweepConfig",
    "SweepResult",
    "SweepTable",
    "TrialRecord",
    "Uniform",
    "check_sweep",
    "importance",
    "read_metric",
    "read_table",
    "run_sweep",
    "show_status",
    "status_view",
    "write_table",
]

SEARCHES: dict[str, type[Search]] = {cls.__name__: cls for cls in (Grid, Listed, Random, Optuna)}
"""All searches by name."""
