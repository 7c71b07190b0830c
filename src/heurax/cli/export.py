"""`heurax export`."""

import argparse
from pathlib import Path
from typing import Any

from heurax.cli.parsing import add_command

__all__ = ["add_export"]


def add_export(commands: Any) -> None:
    """Add the command's parser."""
    export = add_command(commands, "export", _run, "write the rule of a run's latest checkpoint as an artifact")
    export.add_argument("run", type=Path, help="a run directory")
    export.add_argument("out", type=Path, help="the artifact's directory; must not exist")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    del overrides  # there is no config to override
    from heurax.runs import export

    step = export(options.run, options.out)
    print(f"{options.out}: the rule of {options.run} after {step:,} outer steps")
    return 0
