"""Foreign weights: released meta-parameters as artifacts of ours. One table says who reads the files of which rule."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from heurax.artifacts.artifact import Artifact
from heurax.artifacts.importers.disco_rl import import_disco
from heurax.artifacts.importers.learned_optimization import LAYOUTS, import_theta
from heurax.errors import HeuraxError
from heurax.rules import Disco, MuP, Rule

__all__ = ["IMPORTERS", "ImportConfig", "import_artifact"]

IMPORTERS: dict[str, Callable[[Path, Rule], Artifact]] = {
    **dict.fromkeys(LAYOUTS, import_theta),
    Disco.__name__: import_disco,
}
"""Readers of published files by the rule that they belong to, each from (path, rule) to an artifact."""


@dataclass(frozen=True)
class ImportConfig:
    """What the command line needs to know about a published file.

    Args:
        rule: the rule that it belongs to, with its sizes.
    """

    rule: Rule


def import_artifact(path: str | os.PathLike[str], rule: Rule) -> Artifact:
    """Read released meta-parameters.

    Args:
        path: the file; `IMPORTERS` knows in which format the rule's are published.
        rule: the rule that it belongs to, with its sizes, which no file says; of a class in `IMPORTERS`, or `MuP`
            around one.

    Returns:
        An artifact of this rule, whose provenance names the file and its SHA-256.

    Raises:
        HeuraxError: no format is known for the rule, the file cannot be read, or an array is missing, surplus, or of
            another shape or dtype than the rule's.

    >>> import_artifact("theta.state", MuP())
    Traceback (most recent call last):
    heurax.errors.HeuraxError: theta.state cannot be read: No such file or directory
    """
    name = type(rule.rule if isinstance(rule, MuP) else rule).__name__
    if name not in IMPORTERS:
        raise HeuraxError(f"weights of {name} cannot be imported; those of {', '.join(sorted(IMPORTERS))} can")
    return IMPORTERS[name](Path(path), rule)
