"""A search that learns from what it has tried, by Optuna: our one door to it, `importance` aside."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from heurax.config import did_you_mean
from heurax.errors import HeuraxError
from heurax.sweeps.metric import Metric
from heurax.sweeps.search import Explorer, Point, Search, examples_of_space
from heurax.sweeps.space import Choice, Distribution, Integer, LogUniform, Uniform

__all__ = ["Optuna", "import_optuna", "plain"]

STUDY = "sweep"


@dataclass(frozen=True)
class Optuna(Search):
    """Points chosen by an Optuna sampler; its study is a SQLite file in the sweep directory.

    A point's value is the mean of the metric over its seeds. With a pruner, a trial's records are shown to it as they
    are logged, and trials that it gives up are stopped.

    Source: Akiba et al. 2019, arXiv:1907.10902. Needs the package `optuna`.

    Args:
        space: distributions by the dotted name of a field.
        num_points: how many; >= 1.
        sampler: a class of `optuna.samplers`.
        sampler_options: its keyword arguments, such as `{seed: 0}`.
        pruner: a class of `optuna.pruners`; `NopPruner` gives nothing up.
        pruner_options: its keyword arguments. A pruner counts outer steps.
        first: points to try before the sampler chooses, such as that of the base config; within `space`.
        storage: where the study lives, an SQLAlchemy URL; null for `optuna.db` in the sweep directory.
    """

    space: dict[str, Distribution]
    num_points: int = 50
    sampler: str = "TPESampler"
    sampler_options: dict[str, Any] = field(default_factory=dict)
    pruner: str = "NopPruner"
    pruner_options: dict[str, Any] = field(default_factory=dict)
    first: list[dict[str, Any]] = field(default_factory=list)
    storage: str | None = None

    def __post_init__(self) -> None:
        if not self.space:
            raise ValueError("space must not be empty")
        if self.num_points < 1:
            raise ValueError(f"num_points must be >= 1, got {self.num_points}")
        strangers = [name for point in self.first for name in point if name not in self.space]
        if strangers:
            raise ValueError(f"first must name fields of space, got {strangers[0]!r}")

    @property
    def fields(self) -> list[str]:
        """See `Search.fields`."""
        return list(self.space)

    @property
    def prunes(self) -> bool:
        """See `Search.prunes`."""
        return self.pruner != "NopPruner"

    def examples(self) -> list[dict[str, Any]]:
        """See `examples_of_space`, and the first points."""
        return [*examples_of_space(self.space), *self.first]

    def open(self, directory: Path, metric: Metric) -> Explorer:
        """See `Search.open`.

        Raises:
            HeuraxError: Optuna is not installed, has no such sampler or pruner, or cannot open the storage.
        """
        optuna = import_optuna()
        sampler = _build(optuna.samplers, "Sampler", self.sampler, self.sampler_options)
        pruner = _build(optuna.pruners, "Pruner", self.pruner, self.pruner_options)
        storage = self.storage or f"sqlite:///{(directory / 'optuna.db').resolve()}"
        try:
            study = optuna.create_study(
                storage=storage,
                sampler=sampler,
                pruner=pruner,
                study_name=STUDY if self.storage is None else str(directory),
                direction=metric.goal,
                load_if_exists=True,
            )
            if not study.get_trials(deepcopy=False):
                for values in self.first:
                    study.enqueue_trial({name: plain(value) for name, value in values.items()})
        except Exception as error:  # whatever SQLAlchemy or a database's driver raises
            raise HeuraxError(f"Optuna cannot use the storage {storage}: {str(error).splitlines()[0]}") from error
        return _OptunaExplorer(study, self)


class _OptunaExplorer(Explorer):
    """A study; the number of a trial of Optuna's is the index of a point."""

    def __init__(self, study: Any, search: Optuna) -> None:
        self._optuna = import_optuna()
        self._study, self._search = study, search
        self._distributions = {name: self._translate(space) for name, space in search.space.items()}
        waiting = self._optuna.trial.TrialState.WAITING
        self._old = [trial for trial in study.get_trials(deepcopy=False) if trial.state != waiting]
        self._asked = 0

    def ask(self) -> Point | None:
        """See `Explorer.ask`: those of an earlier process first."""
        if self._asked >= self._search.num_points:
            return None
        trial = self._old.pop(0) if self._old else self._study.ask(self._distributions)
        self._asked += 1
        return Point(trial.number, {name: self._value(name, trial.params[name]) for name in self._search.space})

    def tell(self, point: Point, value: float | None) -> None:
        """See `Explorer.tell`."""
        state = self._optuna.trial.TrialState.FAIL if value is None else None
        self._study.tell(point.index, value, state=state, skip_if_finished=True)

    def should_prune(self, point: Point, step: int, value: float) -> bool:
        """See `Explorer.should_prune`."""
        trial = self._trial(point)
        if step in self._study.get_trials(deepcopy=False)[point.index].intermediate_values:
            return False  # seen by an earlier process
        trial.report(value, step)
        return bool(trial.should_prune())

    def prune(self, point: Point) -> None:
        """See `Explorer.prune`."""
        self._study.tell(point.index, state=self._optuna.trial.TrialState.PRUNED, skip_if_finished=True)

    def _trial(self, point: Point) -> Any:
        frozen = self._study.get_trials(deepcopy=False)[point.index]
        return self._optuna.trial.Trial(self._study, frozen._trial_id)  # how a study that was loaded goes on

    def _translate(self, space: Distribution) -> Any:
        distributions = self._optuna.distributions
        if isinstance(space, Choice):
            return distributions.CategoricalDistribution([plain(value) for value in space.values])
        if isinstance(space, Integer):
            return distributions.IntDistribution(space.low, space.high, log=space.log)
        assert isinstance(space, Uniform | LogUniform)
        return distributions.FloatDistribution(space.low, space.high, log=isinstance(space, LogUniform))

    def _value(self, name: str, value: Any) -> Any:
        """A value as the search describes it; Optuna's categories are scalars."""
        space = self._search.space[name]
        if isinstance(space, Choice):
            return next(choice for choice in space.values if plain(choice) == value)
        return value


def import_optuna() -> Any:
    """The package, which says nothing but warnings.

    Raises:
        HeuraxError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise HeuraxError("this search needs the package optuna: pip install 'heurax[sweep]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def plain(value: Any) -> Any:
    """A value as a category of Optuna's: scalars as they are, others as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _build(module: Any, kind: str, name: str, options: dict[str, Any]) -> Any:
    """A sampler or a pruner by its name."""
    known = [n for n in dir(module) if n.endswith(kind) and not n.startswith("Base")]
    if name not in known:
        raise HeuraxError(f"Optuna has no {kind.lower()} {name!r}{did_you_mean(name, known)}")
    try:
        return getattr(module, name)(**options)
    except (TypeError, ValueError, ImportError) as error:
        raise HeuraxError(f"search.{kind.lower()}_options: {error}") from error
