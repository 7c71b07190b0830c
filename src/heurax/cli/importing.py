"""`heurax import`."""

import argparse
from pathlib import Path
from typing import Any

from heurax.cli.parsing import add_command

__all__ = ["add_import"]


def add_import(commands: Any) -> None:
    """Add the command's parser."""
    importing = add_command(
        commands,
        "import",
        _run,
        "write published weights as an artifact",
        "\n\nA file does not say which rule it belongs to: name it. Every array is checked against it.",
        "The rule's fields can be set after OUT:\n\n  --rule.lstm_hidden_size 64\n\n"
        "`heurax list NAME` describes a rule and its fields.",
        takes_fields=True,
    )
    importing.add_argument("file", type=Path, help="the published file, such as the flax-msgpack theta.state of Celo")
    importing.add_argument("out", type=Path, help="the artifact's directory; must not exist")
    importing.add_argument("--rule", required=True, help="the rule that the weights belong to, such as VeLO")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    import jax

    from heurax import artifacts
    from heurax.artifacts.importers import ImportConfig, import_artifact
    from heurax.config import read_config

    config, _ = read_config(ImportConfig, None, ["--rule", options.rule, *overrides])
    artifact = import_artifact(options.file, config.rule)
    artifacts.save(options.out, artifact)
    size = sum(leaf.size for leaf in jax.tree.leaves(artifact.theta))
    print(f"{options.out}: {options.rule} with {size:,} meta-parameters from {options.file}")
    return 0
