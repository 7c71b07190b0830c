"""The host: the meta-training loop, devices, checkpoints, logs and progress."""

from heurax.runs.config import TrainConfig
from heurax.runs.devices import OuterProgram, split_cpu, tasks_mesh
from heurax.runs.distributed import initialize, is_first_process
from heurax.runs.export import export
from heurax.runs.loop import Summary, train
from heurax.runs.mlflow import MLflow
from heurax.runs.tracking import Tracking
from heurax.runs.wandb import WandB

__all__ = [
    "TRACKING",
    "MLflow",
    "OuterProgram",
    "Summary",
    "Tracking",
    "TrainConfig",
    "WandB",
    "export",
    "initialize",
    "is_first_process",
    "split_cpu",
    "tasks_mesh",
    "train",
]

TRACKING: dict[str, type[Tracking]] = {cls.__name__: cls for cls in (WandB, MLflow)}
"""Services that take the records of a run, by name."""
