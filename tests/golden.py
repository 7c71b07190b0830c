"""Reading the reference trajectories of learned optimizers (their README describes the format)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.artifacts.importers.learned_optimization import layout
from heurax.artifacts.importers.published import Layout, convert
from heurax.rules import LearnedOptimizer

NUM_STEPS = 40
"""The horizon that every trajectory was given."""

QUICK = {"xla_backend_optimization_level": 0}
"""Compiler options: programs that run a few times on small arrays spend their time in LLVM, which can do less."""


@dataclass(frozen=True)
class Trajectory:
    """One reference run: what an optimizer was given, and what it did."""

    arrays: Any
    tolerance: dict[str, float]
    num_inner_steps: int

    def tree(self, prefix: str, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        names = [name for name in self.arrays.files if name.startswith(prefix)]
        return {name.removeprefix(prefix): jnp.asarray(self.arrays[name], dtype) for name in names}

    def theta(self, rule: LearnedOptimizer, dtype: Any = jnp.float32, published: Layout | None = None) -> Any:
        """Meta-parameters of a rule from their published names."""
        arrays = {name.removeprefix("theta/"): x for name, x in self.arrays.items() if name.startswith("theta/")}
        theta = convert("the trajectory", arrays, layout(rule) if published is None else published, rule)
        return jax.tree.map(lambda x: x.astype(dtype), theta)


def folder(shared: Path) -> Path:
    """Where the trajectories are."""
    return shared / "golden" / "optimizers"


def load_trajectory(shared: Path, name: str) -> Trajectory:
    path = folder(shared) / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no reference trajectory {path.name} in the shared folder")
    manifest = json.loads((path.parent / "manifest.json").read_text())
    entry = next(file for file in manifest["files"] if file["file"] == path.name)
    return Trajectory(np.load(path), entry["suggested_tolerance"], entry["inner_steps"])


def assert_parity(
    trajectory: Trajectory,
    optimizer: optax.GradientTransformationExtraArgs,
    dtype: Any = jnp.float32,
    arguments: Callable[[int], dict[str, Any]] = lambda step: {},
) -> None:
    """All steps agree with the reference.

    In float32, to the tolerances that the manifest suggests. In float64, which is to run under `jax.enable_x64`, with
    the float64 reference; it is stored rounded to float32, and that rounding, 6e-8 of a leaf's largest update, is the
    tolerance.
    """
    params = trajectory.tree("params/0/", dtype)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update, compiler_options=QUICK)
    for step in range(trajectory.num_inner_steps):
        loss = jnp.asarray(trajectory.arrays["loss"][step], dtype)
        updates, state = update(trajectory.tree(f"grads/{step}/", dtype), state, params, value=loss, **arguments(step))
        params = optax.apply_updates(params, updates)
        for leaf, expected in trajectory.tree(f"update64/{step}/", dtype).items():
            tolerance = trajectory.tolerance["update_atol"] if dtype == jnp.float32 else 1e-7 * np.abs(expected).max()
            np.testing.assert_allclose(-updates[leaf], expected, rtol=0, atol=tolerance, err_msg=f"{step} {leaf}")
        if dtype == jnp.float32:
            for leaf, expected in trajectory.tree(f"params/{step + 1}/").items():
                tolerance = trajectory.tolerance["params_atol"]
                np.testing.assert_allclose(params[leaf], expected, rtol=0, atol=tolerance, err_msg=f"{step} {leaf}")
