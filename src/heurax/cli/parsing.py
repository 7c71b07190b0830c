"""What the parsers of all commands share."""

import argparse
import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import heurax

__all__ = ["FIELDS", "add_command", "config_fields", "positive"]

FIELDS = """\
Any field of the config can be set here, by its dotted name:

  --outer.estimator.sigma 0.02        a number
  --outer.estimator FullES            an implementation, by its name
  --inner.task.width '[16, 64]'       a range

`heurax list NAME` describes an implementation and its fields.
"""


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace, list[str]], int],
    summary: str,
    more: str = "",
    epilog: str = "",
    takes_fields: bool = False,
) -> argparse.ArgumentParser:
    """Add a command to the command line.

    Args:
        commands: what `add_subparsers` returned.
        name: of the command.
        run: takes the options and the arguments left over, and returns the exit code.
        summary: one line, in lower case and without a full stop.
        more: what follows it in the command's own help.
        epilog: the help's end.
        takes_fields: whether arguments left over are fields of a config; otherwise they are refused.

    Returns:
        The command's parser.
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.{more}",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.set_defaults(command=run, takes_fields=takes_fields)
    return command


def positive(text: str) -> int:
    """The type of an argument that counts something: >= 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be >= 1, got {value}")
    return value


def config_fields(module: str, name: str) -> str:
    """The argument section of a config's docstring, read without importing its module.

    Args:
        module: where the config is defined, such as `heurax.runs.config`.
        name: of its class.
    """
    path = Path(heurax.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    docstring = next(inspect.cleandoc(ast.get_docstring(node) or "") for node in classes if node.name == name)
    return docstring.partition("Args:\n")[2]
