"""`heurax train`."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from heurax.cli.parsing import FIELDS, add_command, config_fields, positive

__all__ = ["add_train"]


def add_train(commands: Any) -> None:
    """Add the command's parser."""
    train = add_command(
        commands,
        "train",
        _run,
        "meta-train a rule",
        "\n\nThe same command on a run directory that is there resumes the run, bit for bit. SIGTERM, Ctrl-C and"
        "\nwhat schedulers send (SIGUSR1, SIGUSR2) save a last checkpoint first.",
        FIELDS + "\nFields of the config:\n" + config_fields("heurax.runs.config", "TrainConfig"),
        takes_fields=True,
    )
    train.add_argument("config", help="a YAML file, or the name of a config that `heurax list configs` shows")
    train.add_argument("--run_dir", type=Path, help="where the run lives (default: runs/NAME of the config)")
    train.add_argument(
        "--cpu_devices",
        type=positive,
        help="virtual devices that the cores are made into where JAX finds no accelerator (default: one per core)",
    )
    train.add_argument(
        "--profile",
        action="store_true",
        help="trace a few outer steps first; profile/ in the run directory opens in TensorBoard and Perfetto",
    )


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    from heurax.config import find_config, read_config
    from heurax.runs import TrainConfig, initialize, is_first_process, split_cpu, train

    split_cpu(options.cpu_devices)
    initialize()
    path = find_config(options.config)
    config, text = read_config(TrainConfig, path, overrides)
    run_dir = options.run_dir or Path("runs") / path.stem
    console = Console(stderr=True, quiet=not is_first_process())
    summary = train(config, run_dir, text, console, profile=options.profile)
    if summary.stopped_by is not None and summary.status == "stopped":
        console.print(
            f"stopped by {summary.stopped_by.name} after outer step {summary.outer_steps:,}, which is saved; "
            "run the same command again to resume",
            highlight=False,
            soft_wrap=True,
        )
        return 128 + summary.stopped_by
    loss = "" if summary.meta_loss is None else f", meta-loss {summary.meta_loss:.4g}"
    console.print(
        f"{run_dir}: {summary.outer_steps:,} outer steps{loss}; the rule is in {run_dir / 'artifact'}",
        highlight=False,
        soft_wrap=True,
    )
    return 0
