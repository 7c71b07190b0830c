"""Export: an artifact out of a run's latest checkpoint."""

import json
from pathlib import Path
from typing import Any

import jax

from heurax import artifacts
from heurax.config import read_config
from heurax.errors import HeuraxError
from heurax.runs.checkpoints import Checkpoints
from heurax.runs.config import TrainConfig
from heurax.runs.devices import OuterProgram, tasks_mesh
from heurax.runs.provenance import provenance

__all__ = ["export"]


def export(run_dir: Path, out: Path) -> int:
    """Write the rule of a run's latest checkpoint as an artifact; the run may still be going on.

    Args:
        run_dir: a run directory.
        out: the artifact's directory; must not exist.

    Returns:
        The outer step of the checkpoint.

    Raises:
        HeuraxError: there is no run or no checkpoint, a checkpoint is damaged, or `out` cannot be written.
    """
    config_path = run_dir / "config.yaml"
    if not config_path.is_file():
        raise HeuraxError(f"there is no run at {run_dir}: it has no config.yaml")
    if out.exists():
        raise HeuraxError(f"{out} exists already; give a path that does not")
    config, _ = read_config(TrainConfig, config_path)
    step, state = _latest_state(config, run_dir)
    origin = provenance(config_path.read_text(), config.seed, step)
    measured = run_dir / "evaluation.json"
    if measured.is_file():
        evaluation = json.loads(measured.read_text())
        origin["measured"] = {k: v for k, v in evaluation.items() if k != "identity"}
    artifacts.save(out, artifacts.Artifact(config.inner.rule, jax.device_get(state.theta), origin))
    return step


def _latest_state(config: TrainConfig, run_dir: Path) -> tuple[int, Any]:
    if not (run_dir / "checkpoints").is_dir():
        raise HeuraxError(f"{run_dir} has no checkpoint yet")
    checkpoints = Checkpoints(run_dir / "checkpoints", config.keep_checkpoints, read_only=True)
    try:
        step = checkpoints.latest_step
        if step is None:
            raise HeuraxError(f"{run_dir} has no checkpoint yet")
        program = OuterProgram(config.inner, config.outer, tasks_mesh(config.outer.num_tasks), 1)
        return step, checkpoints.restore(step, program.abstract_state())
    finally:
        checkpoints.close()
