"""Meta-parameters in the layout of google-deepmind/disco_rl: an npz file of haiku's arrays by module and name."""

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np

import heurax
from heurax.artifacts.artifact import Artifact
from heurax.artifacts.importers.published import Layout, Published, convert
from heurax.errors import HeuraxError
from heurax.rules import Disco, Rule

__all__ = ["disco_layout", "import_disco"]


def import_disco(path: Path, rule: Rule) -> Artifact:
    """Read an npz file of a Disco rule's meta-parameters, such as the released `disco_103.npz`.

    Args:
        path: the file; arrays of Python objects in it are refused, so that it cannot run code.
        rule: a `Disco` with the sizes that the file has; those of Disco103 are its defaults.

    Returns:
        An artifact of this rule. Its provenance names the file and its SHA-256.

    Raises:
        HeuraxError: the file is no npz file, or an array is missing, surplus, or of another shape or dtype than the
            rule's.
    """
    assert isinstance(rule, Disco)
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise HeuraxError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise HeuraxError(f"{path} is no npz file of arrays: {error}") from error
    theta = convert(path, arrays, disco_layout(), rule)
    provenance = {
        "imported_from": path.name,
        "format": "npz",
        "sha256": hashlib.sha256(content).hexdigest(),
        "heurax": heurax.__version__,
    }
    return Artifact(rule, theta, provenance)


def disco_layout() -> Layout:
    """The published arrays of a Disco rule's meta-parameters, by name.

    >>> disco_layout()["lstm/linear/w"].target
    'gate/w'
    """
    lifetime = "lstm/~/meta_lstm/~unroll"
    layers = {
        **_reader("lstm", "reader"),
        "lstm/lstm/linear": "lstm",
        "lstm/linear": "gate",
        "lstm/linear_1": "summary",
        "lstm/linear_2": "y_target",
        "lstm/linear_3": "z_target",
        "lstm/sequential_1/conv1_d": "policy_target/0",
        "lstm/linear_4": "policy_target/1",
        **_reader(lifetime, "lifetime/reader"),
        f"{lifetime}/mlp_2/~/linear_0": "lifetime/embedding",
        f"{lifetime}/lstm/linear": "lifetime/lstm",
    }
    return {
        f"{theirs}/{kind}": Published(f"{ours}/{kind}", has_row=kind == "w" and "conv1_d" in theirs)
        for theirs, ours in layers.items()
        for kind in "wb"
    }


def _reader(theirs: str, ours: str) -> dict[str, str]:
    """Embeddings of y and of z, and the convolutions over actions."""
    embeddings = {
        f"{theirs}/{module}/~/linear_{i}": f"{ours}/{name}/{i}"
        for module, name in (("mlp", "y"), ("mlp_1", "z"))
        for i in range(2)
    }
    convolutions = {f"{theirs}/sequential/conv1_d{'_1' if i else ''}": f"{ours}/actions/{i}" for i in range(2)}
    return embeddings | convolutions
