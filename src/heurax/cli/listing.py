"""`heurax list`."""

import argparse
from typing import Any

from heurax.cli.parsing import add_command

__all__ = ["add_list"]


def add_list(commands: Any) -> None:
    """Add the command's parser."""
    listing = add_command(
        commands,
        "list",
        _run,
        "name what there is: rules, tasks, sources of data, environments, inner loops, agents, estimators, outer "
        "loops, configs",
    )
    listing.add_argument(
        "what",
        nargs="?",
        help="one group (rules, tasks, sources, environments, inner, agents, estimators, outer, data, strategies, "
        "suites, tracking, searches, distributions, launchers, configs) or name",
    )


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    del overrides  # there is no config to override
    from heurax.listing import print_listing

    print_listing(options.what)
    return 0
