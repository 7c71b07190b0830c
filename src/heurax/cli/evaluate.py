"""`heurax evaluate`."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

from rich.console import Console

from heurax.cli.parsing import FIELDS, add_command, config_fields

__all__ = ["add_evaluate"]


def add_evaluate(commands: Any) -> None:
    """Add the command's parser."""
    evaluate = add_command(
        commands,
        "evaluate",
        _run,
        "compare a learned optimizer with tuned baselines",
        "\n\nWrites evaluation.json, evaluation.csv, evaluation_curves.csv and evaluation.png.",
        FIELDS + "\nFields of the config:\n" + config_fields("heurax.evaluation.config", "EvaluationConfig"),
        takes_fields=True,
    )
    evaluate.add_argument("artifact", type=Path, help="an artifact's directory, or a run's")
    evaluate.add_argument("--config", help="a YAML file, or a config's name (default: the built-in settings)")
    evaluate.add_argument("--out", type=Path, help="directory for the results (default: that of the run or artifact)")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    from heurax import artifacts
    from heurax.config import find_config, read_config
    from heurax.evaluation import (
        EvaluationConfig,
        check_output,
        evaluate,
        evaluation_identity,
        terminal_table,
        verdict,
        write_evaluation,
    )

    artifact = artifacts.load(options.artifact)
    path = None if options.config is None else find_config(options.config)
    config, text = read_config(EvaluationConfig, path, overrides)
    directory = options.artifact
    if (directory / "artifact").is_dir():
        directory = directory / "artifact"
    out = options.out or (directory.parent if directory.name == "artifact" else directory)
    digest = hashlib.sha256((directory / "theta.safetensors").read_bytes()).hexdigest()
    identity = evaluation_identity(directory, digest, text)
    check_output(out, identity)
    console = Console()
    with Console(stderr=True).status("training with every optimizer on every seed"):
        evaluation = evaluate(artifact.rule, artifact.theta, config)
        write_evaluation(out, evaluation, identity)
    console.print(terminal_table(evaluation))
    console.print(verdict(evaluation), highlight=False, soft_wrap=True)
    console.print(
        f"written to {out}: evaluation.json, two tables (csv) and evaluation.png", highlight=False, soft_wrap=True
    )
    return 0
