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


@dataclass(frozen=True)
class Trajectory:
    """One reference run: what an optimizer was given, and what it did."""

    arrays: Any
    tolerance: dict[str, float]
    num_inner_steps: int

    def tree(self, prefix: str, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
        names = [name for name in self.arrays.files if name.startswith(prefix)]
        return {name.removeprefix(prefix): jnp.asarray(self.arrays[name], dtype) for name in names}


def load_trajectory(shared: Path, name: str) -> Trajectory:
    path = shared / "golden" / "optimizers" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no reference trajectory {path.name} in the shared folder")
    manifest = json.loads((path.parent / "manifest.json").read_text())
    entry = next(file for file in manifest["files"] if file["file"] == path.name)
    return Trajectory(np.load(path), entry["suggested_tolerance"], entry["inner_steps"])


def no_arguments(step: int) -> dict[str, Any]:
    del step  # unused: most rules are given the gradient and the loss alone
    return {}


def replay(
    trajectory: Trajectory,
    optimizer: optax.GradientTransformationExtraArgs,
    dtype: Any = jnp.float32,
    arguments: Callable[[int], dict[str, Any]] = no_arguments,
) -> Any:
    """Feed the reference gradients; yield (step, params before, updates) for every step, checking nothing."""
    params = trajectory.tree("params/0/", dtype)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    for step in range(trajectory.num_inner_steps):
        loss = jnp.asarray(trajectory.arrays["loss"][step], dtype)
        updates, state = update(trajectory.tree(f"grads/{step}/", dtype), state, params, value=loss, **arguments(step))
        yield step, params, updates
        params = optax.apply_updates(params, updates)


def assert_parity(
    trajectory: Trajectory,
    optimizer: optax.GradientTransformationExtraArgs,
    arguments: Callable[[int], dict[str, Any]] = no_arguments,
) -> None:
    """All steps agree in float32, to the tolerances that the manifest suggests."""
    for step, params, updates in replay(trajectory, optimizer, arguments=arguments):
        expected_params = trajectory.tree(f"params/{step + 1}/")
        expected_updates = trajectory.tree(f"update64/{step}/")
        for leaf, param in optax.apply_updates(params, updates).items():
            np.testing.assert_allclose(
                param, expected_params[leaf], rtol=0, atol=trajectory.tolerance["params_atol"], err_msg=f"{step} {leaf}"
            )
            np.testing.assert_allclose(
                -updates[leaf],
                expected_updates[leaf],
                rtol=0,
                atol=trajectory.tolerance["update_atol"],
                err_msg=f"{step} {leaf}",
            )


def assert_parity64(
    trajectory: Trajectory,
    optimizer: optax.GradientTransformationExtraArgs,
    arguments: Callable[[int], dict[str, Any]] = no_arguments,
) -> None:
    """All steps agree in float64 with the float64 reference, which is stored rounded to float32.

    The tolerance is that rounding, 6e-8 of a leaf's largest update; run under `jax.enable_x64`.
    """
    for step, _, updates in replay(trajectory, optimizer, jnp.float64, arguments):
        for leaf, expected in trajectory.tree(f"update64/{step}/", jnp.float64).items():
            scale = np.abs(expected).max()
            np.testing.assert_allclose(-updates[leaf], expected, rtol=0, atol=1e-7 * scale, err_msg=f"{step} {leaf}")


def adafac_mlp_theta(trajectory: Trajectory, dtype: Any = jnp.float32) -> dict[str, Any]:
    """Meta-parameters of AdafacMLP from their published names."""
    theta = trajectory.tree("theta/", dtype)
    return {
        "network": {name.removeprefix("nn/~/"): leaf for name, leaf in theta.items() if name.startswith("nn")},
        "momentum_decays": theta["momentum_decays"],
        "second_moment_decays": theta["rms_decays"],
        "factored_decays": theta["adafactor_decays"],
    }


def velo_theta(trajectory: Trajectory, dtype: Any = jnp.float32) -> dict[str, Any]:
    """Meta-parameters of VeLO, Celo or Celo-Adam from their published names."""
    names = trajectory.tree("theta/", dtype)

    def layer(name: str) -> dict[str, jax.Array]:
        return {kind: names[f"rnn_params/{name}/{kind}"] for kind in ("w", "b")}

    state = {kind: names[f"lstm_init_state/{kind}"][0] for kind in ("hidden", "cell")}
    theta = {
        "own": layer("linear_2"),
        "pooled": layer("linear_1"),
        "lstm": layer("rnn/linear") | state,
        "step_size": layer("step_size"),
    }
    if "rnn_params/rnn_to_controls/w" not in names:
        return {"scheduler": theta}
    bank = {name: names[f"ff_mod_stack/~/{name}"] for name in ("w1", "w2", "b0", "b1", "b2")}
    groups = [names[f"ff_mod_stack/~/w0__{group}"] for group in range(14)]
    return {
        "bank": bank | {"w0": jnp.concatenate(groups, axis=1)},
        "scheduler": theta | {"controls": layer("rnn_to_controls")},
    }
