"""Where a result comes from: versions, code, device."""

import functools
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import yaml

import heurax

__all__ = ["environment", "provenance"]

PACKAGES = ("jax", "jaxlib", "flax", "optax", "chex", "evosax", "orbax-checkpoint", "numpy")


@functools.cache
def code_version() -> str | None:
    """The git commit of a source checkout, marked `-dirty` where it has been changed; None for an installed package."""
    root = Path(heurax.__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        describe = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


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
