"""A run small enough to be made often."""

from pathlib import Path

import pytest

CONFIG = """\
# A small run.
inner:
  class_path: SupervisedTraining
  init_args:
    rule: {class_path: AdafacMLP}
    task: {class_path: Quadratic, init_args: {dimension: 5, noise: 0.1}}
    num_steps: 20
outer:
  class_path: Descent
  init_args:
    estimator: {class_path: PersistentES, init_args: {num_tasks: 4, window: 5}}
    optimizer: {warmup_steps: 5}
    num_steps: 600
steps_per_dispatch: 5
checkpoint_every: 20
"""


@pytest.fixture
def config_path(tmp_path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(CONFIG)
    return path
