"""`heurax live`."""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console

from heurax.cli.parsing import add_command, config_fields, positive

__all__ = ["add_live"]


FIELDS = """\
Any field of the config can be set here, by its dotted name:

  --inner.rule DPO                    another drift
  --inner.optimizer VeLO              another optimizer; PretrainedOptimizer takes one from an artifact
  --inner.env.name Acrobot-v1         another environment

`heurax list NAME` describes an implementation and its fields.
"""


def add_live(commands: Any) -> None:
    """Add the command's parser."""
    lives = add_command(
        commands,
        "live",
        _run,
        "live lifetimes with a fixed rule, and write their curves",
        "\n\nWrites lifetimes.json, lifetimes.csv and lifetimes.png.",
        FIELDS + "\nFields of the config:\n" + config_fields("heurax.evaluation.lifetimes", "LifetimesConfig"),
        takes_fields=True,
    )
    lives.add_argument("config", help="a YAML file, or the name of a config that `heurax list configs` shows")
    lives.add_argument("--out", type=Path, help="directory for the results (default: runs/NAME of the config)")
    lives.add_argument("--cpu_devices", type=positive, help="as in `heurax train`")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    import yaml

    from heurax.config import find_config, read_config
    from heurax.evaluation import LifetimesConfig, bootstrap_mean, check_output, live, write_lifetimes
    from heurax.runs import split_cpu

    split_cpu(options.cpu_devices)
    path = find_config(options.config)
    config, text = read_config(LifetimesConfig, path, overrides)
    out = options.out or Path("runs") / path.stem
    identity = {"config": yaml.safe_load(text)}
    check_output(out, identity, "lifetimes.json")
    with Console(stderr=True).status(f"living {config.num_seeds} lifetimes of {config.inner.num_steps:,} steps"):
        lifetimes = live(config)
        write_lifetimes(out, lifetimes, identity)
    name = lifetimes.headline
    mean, low, high = bootstrap_mean(lifetimes.final(name))
    print(f"{name.replace('_', ' ')} over the last tenth: {mean:.4g} [{low:.4g}, {high:.4g}], {config.num_seeds} seeds")
    print(f"written to {out}: lifetimes.json, lifetimes.csv and lifetimes.png")
    return 0
