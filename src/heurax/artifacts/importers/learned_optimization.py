"""Meta-parameters in the layout of google/learned_optimization and of amoudgl/celo: flax-msgpack files of `theta`.

The layout of a file says nothing about the rule it belongs to, so the rule is the user's to name, and every array is
checked against it: by key, by shape and by dtype.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flax.serialization
import jax
import jax.numpy as jnp
import numpy as np

from heurax.artifacts.artifact import Artifact
from heurax.errors import HeuraxError
from heurax.rules import AdafacMLP, Celo, Celo2, CeloAdam, LearnedOptimizer, MLPOptimizer, VeLO
from heurax.rules.optimizers import adafactor

__all__ = ["IMPORTABLE", "Layout", "Published", "import_theta", "layout"]


@dataclass(frozen=True)
class Published:
    """A published array.

    Attributes:
        target: path of our array that it belongs to, and whose shape it has but for the following.
        size: features in this group; the groups of a target are concatenated along its last axis but one.
        has_row: whether it has a first axis of size 1, where ours has none.
        discarded: whether it has no effect and no place in our rule.
    """

    target: str
    size: int | None = None
    has_row: bool = False
    discarded: bool = False

    def shape(self, target_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that it must have."""
        if self.size is not None:
            return (*target_shape[:-2], self.size, target_shape[-1])
        return (1, *target_shape) if self.has_row else target_shape


Layout = dict[str, Published]
"""Published arrays by name."""


def import_theta(path: str | os.PathLike[str], rule: LearnedOptimizer) -> Artifact:
    """Read a flax-msgpack file of published meta-parameters.

    Args:
        path: the file, as written by `flax.serialization.to_bytes`.
        rule: the rule that it belongs to, with its sizes; of a class in `IMPORTABLE`.

    Returns:
        An artifact of this rule. Its provenance names the file and its SHA-256.

    Raises:
        HeuraxError: the rule has no published layout, the file is not msgpack, or an array is missing, surplus, or of
            another shape or dtype than the rule's.
    """
    path = Path(path)
    wanted = layout(rule)
    try:
        content = path.read_bytes()
        tree = flax.serialization.msgpack_restore(content)
    except OSError as error:
        raise HeuraxError(f"{path} cannot be read: {error}") from error
    except Exception as error:  # msgpack has no common base class for what a damaged file may raise
        raise HeuraxError(f"{path} is no flax-msgpack file: {error}") from error
    theta = _convert(path, _flatten(tree), wanted, rule)
    provenance = {"imported_from": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    return Artifact(rule, theta, provenance)


def layout(rule: LearnedOptimizer) -> Layout:
    """The published arrays of a rule's meta-parameters, by name.

    >>> layout(MLPOptimizer())["mlp/~/linear_0/w"].target
    'w0'

    Raises:
        HeuraxError: none are known for this rule.
    """
    name = type(rule).__name__
    if name not in IMPORTABLE:
        raise HeuraxError(f"weights of {name} cannot be imported; those of {', '.join(IMPORTABLE)} can")
    return IMPORTABLE[name]()


def _adafac_mlp() -> Layout:
    decays = {"momentum_decays": "momentum_decays", "rms_decays": "second_moment_decays"}
    decays["adafactor_decays"] = "factored_decays"
    network = {f"nn/~/{kind}{i}": f"network/{kind}{i}" for i in range(3) for kind in "wb"}
    return {theirs: Published(ours) for theirs, ours in (decays | network).items()}


def _mlp_optimizer() -> Layout:
    return {f"mlp/~/linear_{i}/{kind}": Published(f"{kind}{i}") for i in range(3) for kind in "wb"}


def _grouped_network(prefix: str) -> Layout:
    """A network whose first layer is published as one array per group of channels."""
    names = ("b0", "w1", "b1", "w2", "b2")
    groups = enumerate(adafactor.CHANNELS.values())
    return {f"ff_mod_stack/~/{name}": Published(prefix + name) for name in names} | {
        f"ff_mod_stack/~/w0__{group}": Published(f"{prefix}w0", size) for group, size in groups
    }


def _scheduler() -> Layout:
    layers = {"linear_2": "own", "linear_1": "pooled", "rnn/linear": "lstm", "step_size": "step_size"}
    arrays = {f"rnn_params/{theirs}/{kind}": f"{ours}/{kind}" for theirs, ours in layers.items() for kind in "wb"}
    return {
        **{theirs: Published(f"scheduler/{ours}") for theirs, ours in arrays.items()},
        **{f"rnn_params/linear/{kind}": Published(f"scheduler/own/{kind}", discarded=True) for kind in "wb"},
        **{f"lstm_init_state/{x}": Published(f"scheduler/lstm/{x}", has_row=True) for x in ("hidden", "cell")},
    }


def _hypernetwork() -> Layout:
    controls = {f"rnn_params/rnn_to_controls/{kind}": Published(f"scheduler/controls/{kind}") for kind in "wb"}
    return _grouped_network("bank/") | _scheduler() | controls


IMPORTABLE: dict[str, Callable[[], Layout]] = {
    AdafacMLP.__name__: _adafac_mlp,
    Celo.__name__: _hypernetwork,
    Celo2.__name__: lambda: _grouped_network(""),
    CeloAdam.__name__: _scheduler,
    MLPOptimizer.__name__: _mlp_optimizer,
    VeLO.__name__: _hypernetwork,
}
"""Rules whose published meta-parameters can be read, and how they are laid out."""


def _convert(path: Path, arrays: dict[str, np.ndarray], published: Layout, rule: LearnedOptimizer) -> Any:
    """Our tree from their arrays, after a check of every one."""
    target = jax.eval_shape(rule.init, jax.random.key(0))
    leaves = {jax.tree_util.keystr(p, simple=True, separator="/"): x for p, x in jax.tree.leaves_with_path(target)}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in leaves}
    for name in sorted(arrays.keys() - published.keys()):
        raise HeuraxError(f"{path} has an array {name!r} that {type(rule).__name__} does not")
    for name, entry in published.items():
        if name not in arrays:
            raise HeuraxError(f"{path} lacks the array {name!r} of {type(rule).__name__}")
        found, wanted = arrays[name], leaves[entry.target]
        if found.shape != entry.shape(wanted.shape):
            shape = list(entry.shape(wanted.shape))
            raise HeuraxError(f"{path}: {name} has shape {list(found.shape)}, wanted {shape}")
        if found.dtype != wanted.dtype:
            raise HeuraxError(f"{path}: {name} has dtype {found.dtype}, wanted {wanted.dtype}")
        if not entry.discarded:
            parts[entry.target].append(found[0] if entry.has_row else found)
    joined = [jnp.asarray(x[0] if len(x) == 1 else np.concatenate(x, axis=-2)) for x in parts.values()]
    return jax.tree.unflatten(jax.tree.structure(target), joined)


def _flatten(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Arrays by their `/`-joined path."""
    if not isinstance(tree, dict):
        return {prefix: np.asarray(tree)}
    joined = {}
    for name, value in tree.items():
        joined |= _flatten(value, f"{prefix}/{name}" if prefix else str(name))
    return joined
