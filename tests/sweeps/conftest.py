"""A run that compiles in a second, and sweeps of it."""

from pathlib import Path

import pytest
import yaml

BASE = """\
# A small run.
inner: {class_path: InfluenceBalancing}
outer:
  class_path: Descent
  init_args:
    estimator: {class_path: PersistentES, init_args: {num_tasks: 4, window: 5, sigma: 0.1}}
    optimizer: {warmup_steps: 5}
    num_steps: 400
steps_per_dispatch: 10
checkpoint_every: 50
tensorboard: false
"""


@pytest.fixture
def base_path(tmp_path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


@pytest.fixture
def sweep_path(tmp_path, base_path):
    """Writes a sweep of the small run: its search by name and fields, other fields of the sweep."""

    def write(search: str = "Grid", fields: dict | None = None, **others) -> Path:
        path = tmp_path / "sweep.yaml"
        described = {"class_path": search, "init_args": fields or {}}
        path.write_text(yaml.safe_dump({"base": str(base_path), "search": described, **others}, sort_keys=False))
        return path

    return write
