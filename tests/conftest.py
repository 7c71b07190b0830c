"""Hostile settings for every test: strict dtypes and ranks, typed keys only, several virtual devices."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

NUM_DEVICES = 4

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", NUM_DEVICES)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update(
    "jax_compilation_cache_dir",
    os.environ.get("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "heurax-jax-cache")),
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


@pytest.fixture
def quick_compilation() -> Iterator[None]:
    """Half the time to compile, for programs that do not run for long."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The team's shared folder of reference data, outside the project."""
    path = Path(os.environ.get("HEURAX_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not path.is_dir():
        pytest.skip("no reference data: set HEURAX_SHARED to the folder that holds golden/ and weights/")
    return path


@pytest.fixture
def heurax_command(tmp_path):
    """Starts `heurax ...` as a user would, with a shared compilation cache; none outlives its test."""
    started = []

    def start(*arguments, **options) -> subprocess.Popen:
        cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "jax-cache"))
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "COLUMNS": "200",
        }
        command = [sys.executable, "-m", "heurax.cli", *map(str, arguments)]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes and waits for it
            pass


@pytest.fixture
def heurax_run(heurax_command):
    """Runs `heurax ...` to its end: (exit code, standard output, standard error)."""

    def run(*arguments, **options):
        process = heurax_command(*arguments, **options)
        output, errors = process.communicate(timeout=800)
        return process.returncode, output, errors

    return run
