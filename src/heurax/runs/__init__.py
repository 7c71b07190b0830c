"""The host: the meta-training loop, devices, checkpoints, logs and progress."""

from heurax.runs.config import TrainConfig
from heurax.runs.devices import OuterProgram, split_cpu, tasks_mesh
from heurax.runs.distributed import initialize, is_first_process
from heurax.runs.export import export
from heurax.runs.loop import Summary, train

__all__ = [
    "OuterProgram",
    "Summary",
    "TrainConfig",
    "export",
    "initialize",
    "is_first_process",
    "split_cpu",
    "tasks_mesh",
    "train",
]
