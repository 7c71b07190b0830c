"""Meta-parameters in the layout of google/learned_optimization and of amoudgl/celo: flax-msgpack files.

A file holds `theta` alone, as Celo's do, or a checkpoint of (theta, name of the run, step), as VeLO's do. Its layout
says nothing about the rule it belongs to, so the rule is the user's to name, and every array is checked against it: by
key, by shape and by dtype.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flax.serialization
import numpy as np

import heurax
from heurax.artifacts.artifact import Artifact
from heurax.artifacts.importers.published import Layout, Published, convert
from heurax.errors import HeuraxError
from heurax.rules import (
    RNNMLP,
    AdafacMLP,
    Celo,
    Celo2,
    CeloAdam,
    LearnableAdam,
    LearnableMomentum,
    LearnableSGD,
    MLPOptimizer,
    MuP,
    NNAdam,
    Rule,
    VeLO,
)
from heurax.rules.optimizers import adafactor

__all__ = ["LAYOUTS", "import_theta", "layout"]


def import_theta(path: Path, rule: Rule) -> Artifact:
    """Read a flax-msgpack file of published meta-parameters.

    Args:
        path: the file, as written by `flax.serialization.to_bytes`; `theta`, or a checkpoint of it.
        rule: the rule that it belongs to, with its sizes; of a class in `LAYOUTS`.

    Returns:
        An artifact of this rule. Its provenance names the file and its SHA-256.

    Raises:
        HeuraxError: the file is not msgpack, or an array is missing, surplus, or of another shape or dtype than the
            rule's.
    """
    try:
        content = path.read_bytes()
        tree = flax.serialization.msgpack_restore(content)
    except OSError as error:
        raise HeuraxError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # msgpack has no common base class for what a damaged file may raise
        raise HeuraxError(f"{path} is no flax-msgpack file: {error}") from error
    published, origin = _open_checkpoint(tree)
    theta = convert(path, _flatten(published), layout(rule), rule)
    provenance = {
        "imported_from": path.name,
        "format": "flax-msgpack",
        "sha256": hashlib.sha256(content).hexdigest(),
        "heurax": heurax.__version__,
        **origin,
    }
    return Artifact(rule, theta, provenance)


def layout(rule: Rule) -> Layout:
    """The published arrays of a rule's meta-parameters, by name; `MuP` has those of the rule that it scales.

    >>> layout(MLPOptimizer())["mlp/~/linear_0/w"].target
    'w0'
    """
    return layout(rule.rule) if isinstance(rule, MuP) else LAYOUTS[type(rule).__name__]()


def _renamed(names: dict[str, str]) -> Layout:
    return {theirs: Published(ours) for theirs, ours in names.items()}


def _learnable(*names: str) -> Callable[[], Layout]:
    ours = {"log_lr": "log_learning_rate", "log_epsilon": "log_epsilon"}
    return lambda: _renamed({name: ours.get(name, f"log_{name}") for name in names})


def _adafac_mlp() -> Layout:
    decays = {"momentum_decays": "momentum_decays", "rms_decays": "second_moment_decays"}
    decays["adafactor_decays"] = "factored_decays"
    return _renamed(decays | {f"nn/~/{kind}{i}": f"network/{kind}{i}" for i in range(3) for kind in "wb"})


def _haiku_mlp(prefix: str, ours: str) -> Layout:
    return _renamed({f"{prefix}mlp/~/linear_{i}/{kind}": f"{ours}{kind}{i}" for i in range(3) for kind in "wb"})


def _layers(layers: dict[str, str]) -> Layout:
    return _renamed({f"{theirs}/{kind}": f"{ours}/{kind}" for theirs, ours in layers.items() for kind in "wb"})


def _first_state(ours: str) -> Layout:
    return {f"lstm_init_state/{x}": Published(f"{ours}/{x}", has_row=True) for x in ("hidden", "cell")}


def _grouped_network(prefix: str) -> Layout:
    """A network whose first layer is published as one array per group of channels."""
    names = ("b0", "w1", "b1", "w2", "b2")
    groups = enumerate(adafactor.CHANNELS.values())
    return {f"ff_mod_stack/~/{name}": Published(prefix + name) for name in names} | {
        f"ff_mod_stack/~/w0__{group}": Published(f"{prefix}w0", axis=-2, size=size) for group, size in groups
    }


def _scheduler() -> Layout:
    ours = {"linear_2": "own", "linear_1": "pooled", "rnn/linear": "lstm", "step_size": "step_size"}
    layers = _layers({f"rnn_params/{theirs}": f"scheduler/{name}" for theirs, name in ours.items()})
    no_effect = {f"rnn_params/linear/{kind}": Published(f"scheduler/own/{kind}", discarded=True) for kind in "wb"}
    return layers | no_effect | _first_state("scheduler/lstm")


def _hypernetwork() -> Layout:
    return _grouped_network("bank/") | _scheduler() | _layers({"rnn_params/rnn_to_controls": "scheduler/controls"})


def _nn_adam() -> Layout:
    layers = _layers({"rnn_params/rnn/linear": "lstm", "rnn_to_controls_params/rnn_to_controls": "controls"})
    names = ("lr", "beta1", "beta2", "epsilon")
    return layers | _first_state("lstm") | {f"per_layer_{x}": Published("hyper_parameters", axis=0) for x in names}


def _rnn_mlp() -> Layout:
    layers = {"rnn_params/rnn/linear": "lstm", "rnn_to_in_params/rnn_to_in": "lstm_to_lstm"}
    layers["rnn_to_ff_params/rnn_to_ff"] = "lstm_to_mlp"
    messages = _renamed({"initial_from_lstm": "from_lstm", "initial_from_mlp": "from_mlp"})
    return _layers(layers) | _haiku_mlp("ffmod_params/", "mlp/") | _first_state("lstm") | messages


LAYOUTS: dict[str, Callable[[], Layout]] = {
    AdafacMLP.__name__: _adafac_mlp,
    Celo.__name__: _hypernetwork,
    Celo2.__name__: lambda: _grouped_network(""),
    CeloAdam.__name__: _scheduler,
    LearnableAdam.__name__: _learnable("log_lr", "one_minus_beta1", "one_minus_beta2", "log_epsilon"),
    LearnableMomentum.__name__: _learnable("log_lr", "one_minus_momentum"),
    LearnableSGD.__name__: _learnable("log_lr"),
    MLPOptimizer.__name__: lambda: _haiku_mlp("", ""),
    NNAdam.__name__: _nn_adam,
    RNNMLP.__name__: _rnn_mlp,
    VeLO.__name__: _hypernetwork,
}
"""How the meta-parameters of a rule are laid out, by the rule's name."""


def _open_checkpoint(tree: Any) -> tuple[Any, dict[str, Any]]:
    """`theta`, and what a checkpoint says of its origin; older ones are tuples, whose fields are numbered."""
    for theta, name, step in (("params", "gen_id", "step"), ("0", "1", "2")):
        if isinstance(tree, dict) and tree.keys() == {theta, name, step}:
            return tree[theta], {"published_run": str(tree[name]), "published_step": int(tree[step])}
    return tree, {}


def _flatten(tree: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Arrays by their `/`-joined path."""
    if not isinstance(tree, dict):
        return {prefix: np.asarray(tree)}
    joined = {}
    for name, value in tree.items():
        joined |= _flatten(value, f"{prefix}/{name}" if prefix else str(name))
    return joined
