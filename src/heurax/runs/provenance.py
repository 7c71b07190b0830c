"""Where a result comes from: versions, code, device, data."""

import datetime
import functools
import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import yaml

import heurax
from heurax.files import write_text
from heurax.runs.config import TrainConfig
from heurax.runs.fingerprints import data_fingerprints

__all__ = ["environment", "provenance", "write_provenance"]

PACKAGES = ("jax", "jaxlib", "flax", "optax", "chex", "evosax", "orbax-checkpoint", "numpy")


@functools.cache
def code_version() -> str | None:
    """The git commit of a source checkout, marked `-dirty` where it has been changed; None for an installed package."""
    described = _git("describe", "--always", "--dirty", "--abbrev=12")
    return None if described is None else described.strip()


def environment() -> dict[str, Any]:
    """What a run was made with."""
    device = jax.devices()[0]
    return {
        "heurax": heurax.__version__,
        "code_version": code_version(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": device.device_kind,
        "num_devices": jax.device_count(),
        "platform": platform.platform(),
    }


def provenance(config_text: str, seed: int, outer_steps: int) -> dict[str, Any]:
    """What an artifact tells of its origin."""
    return {
        "config": yaml.safe_load(config_text),
        "seed": seed,
        "outer_steps": outer_steps,
        "environment": environment(),
    }


def write_provenance(run_dir: Path, config: TrainConfig) -> None:
    """Add a record to `provenance.json`: what this process of a run is made with, all that `config.yaml` does not say.

    Its fields: `time` (UTC), `command`, `seed`, `environment`, `packages` (every one that is installed, with its
    version) and `data` (see `data_fingerprints`). `uncommitted.diff` has what the code differs by from its commit.

    Args:
        run_dir: of the run.
        config: of the run.

    Raises:
        HeuraxError: it cannot be written.
    """
    path = run_dir / "provenance.json"
    starts = json.loads(path.read_text())["starts"] if path.is_file() else []
    start = {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": config.seed,
        "environment": environment(),
        "packages": _packages(),
        "data": data_fingerprints(config),
    }
    write_text(path, json.dumps({"starts": [*starts, start]}, indent=1) + "\n")
    if (code_version() or "").endswith("-dirty"):
        write_text(run_dir / "uncommitted.diff", _git("diff", "HEAD") or "")


@functools.cache
def _packages() -> dict[str, str]:
    """Every installed package with its version."""
    found = {distribution.name: distribution.version for distribution in metadata.distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _git(*arguments: str) -> str | None:
    """What git says about a source checkout; None for an installed package, or without git."""
    root = Path(heurax.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None
