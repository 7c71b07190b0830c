"""Parts that the reports of all kinds share: configuration, provenance, commands."""

import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd

from heurax.analysis.report.page import Block, Facts, Note, Table, format_value

__all__ = ["command", "configuration", "duration", "interval", "provenance"]


def configuration(fields: Mapping[str, Any]) -> list[Block]:
    """Every field of a config, by its dotted name."""
    if not fields:
        return [Note("No configuration was saved.")]
    rows = [(name, format_value(value)) for name, value in fields.items()]
    return [Table("Fields by their names on the command line", pd.DataFrame(rows, columns=["field", "value"]))]


def provenance(environment: Mapping[str, Any], seed: Any = None) -> list[Block]:
    """Code, packages and devices that something was made with."""
    if not environment:
        return [Note("Versions and devices were not recorded.")]
    names = {"code_version": "code version", "num_devices": "devices", "device": "kind of device"}
    pairs = [(names.get(k, k), v) for k, v in environment.items() if k != "packages"]
    pairs += [("seed", seed)] if seed is not None else []
    return [Facts([*pairs, *environment.get("packages", {}).items()])]


def command(*words: Any) -> str:
    """A command line, quoted for a shell.

    >>> command("heurax", "train", "my runs/config.yaml")
    "heurax train 'my runs/config.yaml'"
    """
    return shlex.join(map(str, words))


def duration(seconds: float | None) -> str | None:
    """A time in the unit that suits it.

    >>> duration(90.0), duration(900.0), duration(9000.0)
    ('90 s', '15 min', '2.5 h')
    """
    if seconds is None:
        return None
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def interval(record: Mapping[str, float] | None, form: str = ".4f") -> str:
    """A mean with its interval.

    >>> interval({"mean": 1.0, "low": 0.5, "high": 1.5})
    '1.0000 [0.5000, 1.5000]'
    """
    if not record:
        return "-"
    return f"{record['mean']:{form}} [{record['low']:{form}}, {record['high']:{form}}]"
