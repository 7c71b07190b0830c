"""The program `heurax`: its parser, its exit codes, and what it says when a request cannot be met."""

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any

import heurax
from heurax.cli.evaluate import add_evaluate
from heurax.cli.export import add_export
from heurax.cli.importing import add_import
from heurax.cli.listing import add_list
from heurax.cli.live import add_live
from heurax.cli.report import add_report
from heurax.cli.sweep import add_sweep
from heurax.cli.train import add_train
from heurax.errors import HeuraxError

__all__ = ["COMMANDS", "entry_point", "main"]

COMMANDS = (add_train, add_sweep, add_live, add_evaluate, add_export, add_import, add_report, add_list)
"""What adds each command's parser, in the order that the help shows."""
USER_ERROR = 2

DESCRIPTION = """\
Meta-train learned optimizers and discover reinforcement-learning algorithms in JAX.

  heurax train learned_optimizers/quickstart      meta-train; again to resume
  heurax sweep sweeps/quickstart                  many runs of one config: grids, random search, Optuna
  heurax live agents/cartpole                     lifetimes with a fixed rule: train agents, see their curves
  heurax evaluate runs/quickstart                 compare with tuned baselines
  heurax export runs/quickstart my_optimizer      an artifact for heurax.load
  heurax import theta.state celo --rule Celo      released weights as an artifact
  heurax report runs/quickstart                   what it came to, as one HTML page
  heurax list                                     what there is"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: as on the command line, without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 done, 2 a request that cannot be met, 128 + the signal's number when a run was stopped.
    """
    parser = _parser()
    options, overrides = parser.parse_known_args(arguments)
    if overrides and not options.takes_fields:
        parser.error(f"unrecognized arguments: {' '.join(overrides)}")
    _quiet_background_threads()
    try:
        return options.command(options, overrides)
    except HeuraxError as error:
        print(f"heurax: error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("heurax: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def entry_point() -> None:
    """Run the command line and end the process.

    After a failure the process ends at once: exit handlers of libraries whose files could not be written would bury
    the message under tracebacks of their own.
    """
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code == USER_ERROR:
        os._exit(code)
    sys.exit(code)


def _quiet_background_threads() -> None:
    """Keep writer threads from printing tracebacks of failures that are also raised, and reported, in the main thread.

    orbax and tensorstore write in the background; a full disk breaks their threads first.
    """

    def on_thread(args: threading.ExceptHookArgs) -> None:
        if not issubclass(args.exc_type, (OSError, ValueError)):
            threading.__excepthook__(args)

    def on_unraisable(args: Any) -> None:
        if not isinstance(args.exc_value, (OSError, RuntimeError)):
            sys.__unraisablehook__(args)

    threading.excepthook = on_thread
    sys.unraisablehook = on_unraisable


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="heurax",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"heurax {heurax.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    return parser
