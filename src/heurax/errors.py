"""Errors that are the user's to mend: one sentence that names the field, the value and what would be right."""

__all__ = ["HeuraxError", "LostProcessError"]


class HeuraxError(Exception):
    """A request that cannot be met as it stands. The command line prints it as one line and exits with code 2."""


class LostProcessError(HeuraxError):
    """Another process of the same run has ended, so that nothing more can be agreed upon or saved together."""
