"""A run small enough to be made often, and a way to make it in a process of its own."""

import os
import subprocess
import sys
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


@pytest.fixture
def heurax_command(tmp_path):
    """Starts `heurax ...` as a user would; two virtual devices, a shared compilation cache."""

    def start(*arguments, **options) -> subprocess.Popen:
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "jax-cache"))
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "COLUMNS": "200",
        }
        command = [sys.executable, "-m", "heurax.cli", *map(str, arguments)]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    return start


@pytest.fixture
def heurax_run(heurax_command):
    """Runs `heurax ...` to its end: (exit code, standard output, standard error)."""

    def run(*arguments, **options):
        process = heurax_command(*arguments, **options)
        output, errors = process.communicate(timeout=300)
        return process.returncode, output, errors

    return run
