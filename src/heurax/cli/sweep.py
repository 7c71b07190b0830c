"""`heurax sweep`."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from heurax.cli.parsing import add_command, config_fields

__all__ = ["add_sweep"]

FAILED = 1

FIELDS = """\
Any field of the sweep's config can be set here, by its dotted name:

  --launcher Local --launcher.processes 4     where trials run, and how
  --search.num_points 32                      how many points are tried

`heurax list NAME` describes a search, a distribution or a launcher and its fields.
"""


def add_sweep(commands: Any) -> None:
    """Add the command's parser."""
    sweep = add_command(
        commands,
        "sweep",
        _run,
        "run many trials of one config",
        "\n\nThe same command on a sweep directory that is there goes on with it: what has finished is not run again,"
        "\nwhat was interrupted resumes. SIGTERM and Ctrl-C save all trials first. The exit code is 1 where a trial"
        "\nfailed.",
        FIELDS + "\nFields of the config:\n" + config_fields("heurax.sweeps.config", "SweepConfig"),
        takes_fields=True,
    )
    sweep.add_argument("config", nargs="?", help="a YAML file, or the name of a config under sweeps/")
    sweep.add_argument("--out", type=Path, help="the sweep's directory (default: runs/NAME of the config)")
    sweep.add_argument("--retry_failed", action="store_true", help="start trials that failed before once more")
    sweep.add_argument("--status", type=Path, metavar="DIR", help="show the table of a sweep, live while it runs")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    import jax

    from heurax.config import find_config, read_config
    from heurax.errors import HeuraxError
    from heurax.sweeps import SweepConfig, run_sweep, show_status, status_view

    jax.config.update("jax_platforms", "cpu")  # the accelerators are the trials'
    if options.status is not None:
        if options.config is not None or overrides:
            raise HeuraxError("--status shows a sweep that is there; give no config with it")
        show_status(options.status, Console())
        return 0
    if options.config is None:
        raise HeuraxError("give a sweep's config, or --status and a sweep's directory")
    path = find_config(options.config)
    config, text = read_config(SweepConfig, path, overrides)
    out = options.out or Path("runs") / path.stem
    console = Console(stderr=True)
    result = run_sweep(config, text, out, console, retry_failed=options.retry_failed)
    if result.stopped_by is not None:
        console.print("stopped; every trial is saved; run the same command again to go on", highlight=False)
        return 128 + result.stopped_by
    Console().print(status_view(out, result.table))
    print(f"{out}: sweep.json, trials.csv and {len(result.table.trials)} run directories under trials/")
    return (
        FAILED if any(trial.status != "finished" and trial.status != "pruned" for trial in result.table.trials) else 0
    )
