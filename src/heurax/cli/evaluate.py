"""`heurax evaluate`."""

import argparse
import hashlib
from pathlib import Path
from typing import Any

from rich.console import Console

from heurax.cli.parsing import FIELDS, add_command, config_fields, positive

__all__ = ["add_evaluate"]


def add_evaluate(commands: Any) -> None:
    """Add the command's parser."""
    evaluate = add_command(
        commands,
        "evaluate",
        _run,
        "compare a learned optimizer with tuned baselines, on one task or by a suite of tasks",
        "\n\nOn one task: writes evaluation.json, evaluation.csv, evaluation_curves.csv and evaluation.png."
        "\nBy a suite: writes suite.json, tidy tables (Parquet) and report.html. The same command goes on where it was"
        "\nstopped.",
        FIELDS
        + "\nFields of the config:\n"
        + config_fields("heurax.evaluation.config", "EvaluationConfig")
        + "\nFields of a suite:\n"
        + config_fields("heurax.evaluation.suite", "Suite"),
        takes_fields=True,
    )
    evaluate.add_argument("artifact", help="an artifact's directory, a run's, or zoo:NAME")
    how = evaluate.add_mutually_exclusive_group()
    how.add_argument("--config", help="a YAML file, or a config's name (default: the built-in settings)")
    how.add_argument("--suite", help="a suite that `heurax list suites` shows, or a YAML file")
    evaluate.add_argument(
        "--out",
        type=Path,
        help="directory for the results (default: that of the run or artifact, and the suite's in it)",
    )
    evaluate.add_argument("--cpu_devices", type=positive, help="as in `heurax train`; for a suite")


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    return _run_suite(options, overrides) if options.suite is not None else _run_one(options, overrides)


def _run_one(options: argparse.Namespace, overrides: list[str]) -> int:
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

    directory = artifacts.locate(options.artifact)
    artifact = artifacts.load(directory)
    path = None if options.config is None else find_config(options.config)
    config, text = read_config(EvaluationConfig, path, overrides)
    out = options.out or _home(options.artifact, directory)
    identity = evaluation_identity(directory, _digest(directory), text)
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


def _run_suite(options: argparse.Namespace, overrides: list[str]) -> int:
    from heurax import artifacts
    from heurax.analysis.report import report
    from heurax.config import read_config
    from heurax.evaluation import Suite, evaluate_suite, evaluation_identity, find_suite, suite_table, suite_verdict
    from heurax.runs import split_cpu

    split_cpu(options.cpu_devices)
    directory = artifacts.locate(options.artifact)
    artifact = artifacts.load(directory)
    path = find_suite(options.suite)
    suite, text = read_config(Suite, path, overrides)
    out = options.out or _home(options.artifact, directory) / path.stem
    identity = evaluation_identity(directory, _digest(directory), text)
    described = evaluate_suite(artifact.rule, artifact.theta, suite, out, identity)
    console = Console()
    for num_steps in suite.num_steps:
        console.print(suite_table(described, num_steps))
    for num_steps in suite.num_steps:
        console.print(suite_verdict(described, num_steps), highlight=False, soft_wrap=True)
    console.print(
        f"written to {report(out)}, beside suite.json and five tables (Parquet)", highlight=False, soft_wrap=True
    )
    return 0


def _home(name: str, directory: Path) -> Path:
    """Where results of an artifact go by default; those of the zoo, whose home is the package, go to `runs`."""
    if name.startswith("zoo:"):
        return Path("runs") / directory.name
    return directory.parent if directory.name == "artifact" else directory


def _digest(directory: Path) -> str:
    return hashlib.sha256((directory / "theta.safetensors").read_bytes()).hexdigest()
