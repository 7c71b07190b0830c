"""What an evaluation is: the config behind `heurax evaluate`."""

from dataclasses import dataclass

from heurax.rules import OptaxOptimizer
from heurax.tasks import ImageMLP, TaskFamily

__all__ = ["EvaluationConfig"]

HALF_DECADES = tuple(float(f"{10 ** (exponent / 2):.3g}") for exponent in range(-8, 3))


@dataclass(frozen=True)
class EvaluationConfig:
    """A comparison of a learned optimizer with tuned baselines.

    Every optimizer trains on the same task samples, from the same initial parameters, on the same batches. Each
    baseline is given every learning rate of the grid, and is represented by the one with the lowest mean final
    training loss *on these very seeds*: the tuning favours the baselines.

    Args:
        task: the family that problems are drawn from. Evaluation seeds never coincide with those of meta-training.
        num_steps: length of every training run, in updates; >= 1.
        num_seeds: task samples; >= 2.
        seed: of everything random in the evaluation.
        baselines: hand-designed optimizers; their own learning rates are ignored.
        learning_rates: the grid, ascending; by default 11 half-decades from 1e-4 to 10.
        loss_cap: final losses that are not finite, or larger, count as this; > 0.
        confidence: of the bootstrap intervals; in (0, 1).
        num_resamples: of the bootstrap; >= 100.
    """

    task: TaskFamily = ImageMLP()
    num_steps: int = 200
    num_seeds: int = 16
    seed: int = 0
    baselines: tuple[OptaxOptimizer, ...] = (
        OptaxOptimizer("sgd", options={"momentum": 0.9}),
        OptaxOptimizer("adam"),
        OptaxOptimizer("adamw"),
    )
    learning_rates: tuple[float, ...] = HALF_DECADES
    loss_cap: float = 10.0
    confidence: float = 0.95
    num_resamples: int = 10_000

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be >= 1, got {self.num_steps}")
        if self.num_seeds < 2:
            raise ValueError(f"num_seeds must be >= 2, got {self.num_seeds}")
        if not self.baselines:
            raise ValueError("baselines must name at least one optimizer")
        if not self.learning_rates or min(self.learning_rates) <= 0:
            raise ValueError(f"learning_rates must be > 0, got {list(self.learning_rates)}")
        if sorted(self.learning_rates) != list(self.learning_rates):
            raise ValueError(f"learning_rates must ascend, got {list(self.learning_rates)}")
        if not self.loss_cap > 0:
            raise ValueError(f"loss_cap must be > 0, got {self.loss_cap}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be in (0, 1), got {self.confidence}")
        if self.num_resamples < 100:
            raise ValueError(f"num_resamples must be >= 100, got {self.num_resamples}")
