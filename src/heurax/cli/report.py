"""`heurax report`."""

import argparse
from pathlib import Path
from typing import Any

from heurax.cli.parsing import add_command

__all__ = ["add_report"]


def add_report(commands: Any) -> None:
    """Add the command's parser."""
    report = add_command(
        commands,
        "report",
        _run,
        "write what a run, a sweep or an evaluation came to as one HTML page",
        "\n\nThe page needs no other file, no script and no network: it can be mailed, and read on a phone.",
    )
    report.add_argument("directory", type=Path, help="of the run, the sweep or the evaluation")
    report.add_argument("--out", type=Path, help="the HTML file (default: report.html in the directory)")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    del overrides  # there is no config to override
    from heurax.analysis.report import report

    print(f"written to {report(options.directory, options.out)}")
    return 0
