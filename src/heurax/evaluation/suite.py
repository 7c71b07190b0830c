"""What a suite is: the tasks, horizons, seeds and baselines by which a learned optimizer is judged."""

from dataclasses import dataclass, field
from pathlib import Path

from heurax.config import config_files, did_you_mean
from heurax.errors import HeuraxError
from heurax.evaluation.baselines import BASELINES
from heurax.tasks import NAMED_TASKS, TaskFamily

__all__ = ["HALF_DECADES", "Suite", "find_suite", "suites"]

HALF_DECADES = tuple(float(f"{10 ** (exponent / 2):.3g}") for exponent in range(-8, -1))
"""1e-4 to 1e-1: seven learning rates."""

FOLDER = "suites/"


@dataclass(frozen=True)
class Suite:
    """Tasks on which a learned optimizer and baselines train, each tuned in the same way.

    On every task and for every horizon, every optimizer is tried with every learning rate of its grid on the tuning
    seeds, and trained with the one of lowest mean final training loss on the judging seeds, which are others. At a seed
    all optimizers meet the same problem, initial parameters and batches. A learned rule that leaves its step size to
    the user (`LearnedOptimizer.step_size`) has AdamW's grid and schedule, and is told the longest horizon; any other is
    taken as it is.

    Args:
        tasks: fixed tasks by name; `heurax list tasks` shows them.
        own_tasks: further ones of your own, by a name of yours.
        num_steps: horizons in updates, ascending; each >= `num_points`.
        baselines: names in `heurax.evaluation.BASELINES`; `reference` and, with a yardstick, `adam` among them.
        reference: the baseline that log-ratios and targets refer to.
        searches: baselines that are also tuned by random search, in the spaces that `BASELINES` says.
        num_trials: settings in a random search; >= 1.
        learning_rates: the grid, ascending; > 0. Baselines that want larger or smaller steps have a multiple of it.
        schedule: of learning rates after the warm-up: annealed to 0 as half a cosine, or constant.
        warmup: fraction of the steps over which learning rates rise from 0; in [0, 1).
        num_tuning_seeds: task samples that settings are tried on; >= 1.
        num_seeds: task samples that the best settings are judged on; >= 2.
        yardstick_steps: updates of the longest trainings of Adam, at every constant learning rate on the tuning seeds,
            by which speed-ups are measured; at least the longest horizon, or 0 for no speed-ups.
        seed: of everything random.
        lanes: lifetimes in one call of a compiled program, on all devices together; >= 1.
        num_points: points of a kept curve, each the mean over a stretch of steps; >= 2.
        confidence: of bootstrap intervals; in (0, 1).
        num_resamples: of the bootstrap; >= 100.
    """

    tasks: tuple[str, ...] = ("mlp_digits",)
    own_tasks: dict[str, TaskFamily] = field(default_factory=dict, hash=False)
    num_steps: tuple[int, ...] = (200,)
    baselines: tuple[str, ...] = tuple(BASELINES)
    reference: str = "adamw"
    searches: tuple[str, ...] = ()
    num_trials: int = 100
    learning_rates: tuple[float, ...] = HALF_DECADES
    schedule: str = "cosine"
    warmup: float = 0.05
    num_tuning_seeds: int = 2
    num_seeds: int = 5
    yardstick_steps: int = 800
    seed: int = 0
    lanes: int = 16
    num_points: int = 100
    confidence: float = 0.95
    num_resamples: int = 10_000

    def __post_init__(self) -> None:
        self._check_names()
        for name, least in (("num_trials", 1), ("num_tuning_seeds", 1), ("num_seeds", 2), ("lanes", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
        if self.num_points < 2:
            raise ValueError(f"num_points must be >= 2, got {self.num_points}")
        if not self.num_steps or sorted(set(self.num_steps)) != list(self.num_steps):
            raise ValueError(f"num_steps must ascend, got {list(self.num_steps)}")
        if self.num_steps[0] < self.num_points:
            raise ValueError(f"num_steps must be >= num_points = {self.num_points}, got {list(self.num_steps)}")
        if self.yardstick_steps and self.yardstick_steps < self.num_steps[-1]:
            raise ValueError(f"yardstick_steps must be 0 or >= {self.num_steps[-1]}, got {self.yardstick_steps}")
        rates = self.learning_rates
        if not rates or min(rates) <= 0 or sorted(rates) != list(rates):
            raise ValueError(f"learning_rates must be > 0 and ascend, got {list(rates)}")
        if self.schedule not in ("cosine", "constant"):
            raise ValueError(f"schedule must be cosine or constant, got {self.schedule!r}")
        if not 0 <= self.warmup < 1:
            raise ValueError(f"warmup must be in [0, 1), got {self.warmup}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be in (0, 1), got {self.confidence}")
        if self.num_resamples < 100:
            raise ValueError(f"num_resamples must be >= 100, got {self.num_resamples}")

    @property
    def families(self) -> dict[str, TaskFamily]:
        """All tasks by name."""
        return {name: NAMED_TASKS[name] for name in self.tasks} | self.own_tasks

    def _check_names(self) -> None:
        if not self.tasks and not self.own_tasks:
            raise ValueError("tasks must name at least one task")
        for task in self.tasks:
            if task not in NAMED_TASKS:
                raise ValueError(f"tasks names {task!r}, which is no fixed task{did_you_mean(task, list(NAMED_TASKS))}")
        for task in self.own_tasks:
            if task in self.tasks or not task.replace("_", "").isalnum():
                raise ValueError(f"own_tasks must have names of their own, of letters, digits and _, got {task!r}")
        for name in (*self.baselines, *self.searches):
            if name not in BASELINES:
                raise ValueError(f"baselines names {name!r}, which is none{did_you_mean(name, list(BASELINES))}")
        for name in (self.reference, *(["adam"] if self.yardstick_steps else [])):
            if name not in self.baselines:
                raise ValueError(f"baselines must include {name}, got {list(self.baselines)}")
        for name in self.searches:
            if not BASELINES[name].space:
                raise ValueError(f"searches names {name!r}, for which there is no space to search")


def suites() -> dict[str, Path]:
    """Suites by name: the configs below `configs/suites`."""
    return {name.removeprefix(FOLDER): path for name, path in config_files().items() if name.startswith(FOLDER)}


def find_suite(name: str) -> Path:
    """The file of a suite.

    Args:
        name: a suite's name, or a YAML file.

    Raises:
        HeuraxError: there is none.
    """
    known = suites()
    if name in known:
        return known[name]
    if Path(name).is_file():
        return Path(name)
    raise HeuraxError(f"there is no suite {name!r}{did_you_mean(name, list(known))}; `heurax list suites` shows all")
