"""Trials: the run that a point and a seed stand for, resolved and checked before it starts."""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from heurax.config import find_config, read_config
from heurax.errors import HeuraxError
from heurax.runs import TrainConfig
from heurax.sweeps.config import SweepConfig
from heurax.sweeps.search import ListedSearch, Point

__all__ = ["TRACEABLE", "Trial", "check_sweep", "overrides_of", "signature", "trial_names", "trials_of"]

TRACEABLE = ("seed", "outer.optimizer.learning_rate", "outer.estimator.sigma")
"""Fields whose values may be arguments of a compiled program instead of constants in it. Python code asks them nothing
but whether they are in range, when a config is made."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        name: of its directory.
        point: what it tries.
        seed: with which seed.
        text: its resolved config, as YAML.
        num_steps: its outer steps.
    """

    name: str
    point: Point
    seed: int
    text: str
    num_steps: int


def trials_of(config: SweepConfig, point: Point) -> list[Trial]:
    """The trials of a point, one per seed.

    Raises:
        HeuraxError: its values do not make a config.
    """
    trials = []
    for name, seed in zip(trial_names(config, point), config.seeds, strict=True):
        run, text = resolve(config, point.values, seed)
        trials.append(Trial(name, point, seed, text, run.outer.num_steps))
    return trials


def trial_names(config: SweepConfig, point: Point) -> list[str]:
    """What the trials of a point are called: its name or number, and the seed where there are several."""
    width = max(3, len(str(config.search.num_points - 1)))
    name = point.name or f"{point.index:0{width}}"
    return [name] if len(config.seeds) == 1 else [f"{name}-seed{seed}" for seed in config.seeds]


def check_sweep(config: SweepConfig) -> None:
    """Find what is wrong with a sweep before anything starts.

    Raises:
        HeuraxError: there is no base config, a field is unknown, a value is of a wrong type or out of range, two
            trials have one name, or a name cannot be that of a directory.
    """
    for values in config.search.examples():
        resolve(config, values, config.seeds[0])
    points = config.search.points() if isinstance(config.search, ListedSearch) else [Point(0, {})]
    names = [name for point in points for name in trial_names(config, point)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise HeuraxError(f"{Counter(names)[twice[0]]} trials are called {twice[0]!r}; names and seeds must differ")
    odd = [name for name in names if not NAME.fullmatch(name)]
    if odd:
        raise HeuraxError(f"{odd[0]!r} cannot be a trial's name: use letters, digits, '.', '_' and '-'")


def resolve(config: SweepConfig, values: dict[str, Any], seed: int) -> tuple[TrainConfig, str]:
    """The run that some values stand for, and its resolved config as YAML."""
    arguments = [*overrides_of(config.overrides), *overrides_of(values), f"--seed={seed}"]
    return read_config(TrainConfig, find_config(config.base), arguments)


def overrides_of(values: dict[str, Any]) -> list[str]:
    """Values as arguments of the command line, which take the way of all overrides.

    >>> overrides_of({"outer.estimator": "FullES", "inner.task.width": [8, 8], "outer.optimizer.clip_norm": math.inf})
    ['--outer.estimator=FullES', '--inner.task.width=[8, 8]', '--outer.optimizer.clip_norm=.inf']
    """
    return [f"--{name}={_text(value)}" for name, value in values.items()]


def signature(text: str) -> str:
    """What two trials have in common if they differ in nothing but traceable values.

    Args:
        text: a resolved config.
    """
    config = yaml.safe_load(text)
    for name in TRACEABLE:
        at, leaf = _parent(config, name.split("."))
        if leaf in at:
            at[leaf] = None
    return json.dumps(config, sort_keys=True)


def _parent(config: Any, path: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The mapping that holds a field, if there is one."""
    for name in path[:-1]:
        config = config.get("init_args", config)
        config = config.get(name)
        if not isinstance(config, dict):
            return {}, path[-1]
    return config.get("init_args", config), path[-1]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return json.dumps(value)
