"""The command line: `heurax train | sweep | live | evaluate | export | import | list`, one module per command.

A command imports what it needs when it runs, so that `heurax --help` is quick.
"""

from heurax.cli.program import entry_point as entry_point
from heurax.cli.program import main as main

__all__ = ["entry_point", "main"]
