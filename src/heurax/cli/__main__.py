"""`python -m heurax.cli`."""

from heurax.cli.program import entry_point

entry_point()
