"""What a meta-training run is: the config behind `heurax train`."""

from dataclasses import dataclass, field

from heurax.inner import InnerLoop, SupervisedTraining
from heurax.outer import Descent, OuterLoop
from heurax.runs.tracking import Tracking

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """A meta-training run.

    Args:
        inner: one lifetime: the rule, the tasks it trains on, the horizon.
        outer: how the rule improves: estimator, outer optimizer, number of outer steps.
        seed: of everything random in the run.
        steps_per_dispatch: outer steps that are one compiled program, between two log records; divides
            `outer.num_steps`.
        checkpoint_every: outer steps between checkpoints; a multiple of `steps_per_dispatch`.
        keep_checkpoints: how many of the latest checkpoints are kept; >= 1.
        tensorboard: whether TensorBoard events are written beside `metrics.jsonl`.
        track: services that take the records as well, such as `WandB` and `MLflow`.
    """

    inner: InnerLoop = SupervisedTraining()
    outer: OuterLoop = Descent()
    seed: int = 0
    steps_per_dispatch: int = 50
    checkpoint_every: int = 500
    keep_checkpoints: int = 3
    tensorboard: bool = True
    track: list[Tracking] = field(default_factory=list, hash=False)

    def __post_init__(self) -> None:
        for name in ("steps_per_dispatch", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.outer.num_steps % self.steps_per_dispatch:
            raise ValueError(
                f"steps_per_dispatch must divide outer.num_steps = {self.outer.num_steps}, "
                f"got {self.steps_per_dispatch}"
            )
        if self.checkpoint_every % self.steps_per_dispatch:
            raise ValueError(
                f"checkpoint_every must be a multiple of steps_per_dispatch = {self.steps_per_dispatch}, "
                f"got {self.checkpoint_every}"
            )
        self.outer.validate(self.inner)
