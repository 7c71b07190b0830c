"""The command line: `heurax train | live | evaluate | export | import | list`."""

import argparse
import hashlib
import inspect
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import heurax
from heurax.errors import HeuraxError

__all__ = ["entry_point", "main"]

USER_ERROR = 2

DESCRIPTION = """\
Meta-train learned optimizers and discover reinforcement-learning algorithms in JAX.

  heurax train learned_optimizers/quickstart      meta-train; again to resume
  heurax live agents/cartpole                         lifetimes with a fixed rule: train agents, see their curves
  heurax evaluate runs/quickstart                 compare with tuned baselines
  heurax export runs/quickstart my_optimizer      an artifact for heurax.load
  heurax import theta.state celo --rule Celo      released weights as an artifact
  heurax list                                     what there is"""

FIELDS = """\
Any field of the config can be set here, by its dotted name:

  --outer.estimator.sigma 0.02        a number
  --outer.estimator FullES            an implementation, by its name
  --inner.task.width '[16, 64]'       a range

`heurax list NAME` describes an implementation and its fields.
"""


LIFETIMES = """\
Any field of the config can be set here, by its dotted name:

  --inner.rule DPO                    another drift
  --inner.optimizer VeLO              another optimizer; PretrainedOptimizer takes one from an artifact
  --inner.env.name Acrobot-v1         another environment

`heurax list NAME` describes an implementation and its fields.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: as on the command line, without the program's name; None takes those of the process.

    Returns:
        The exit code: 0 done, 2 a request that cannot be met, 128 + the signal's number when a run was stopped.
    """
    parser = _parser()
    options, overrides = parser.parse_known_args(arguments)
    if overrides and options.command not in (_train, _live, _evaluate, _import):
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
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="heurax", description=DESCRIPTION, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"heurax {heurax.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[..., int], summary: str, more: str = "", epilog: str = "") -> Any:
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.{more}",
            epilog=epilog,
            formatter_class=raw,
            allow_abbrev=False,
        )
        command.set_defaults(command=run)
        return command

    train = add(
        "train",
        _train,
        "meta-train a rule",
        "\n\nThe same command on a run directory that is there resumes the run, bit for bit. SIGTERM and Ctrl-C save"
        "\na last checkpoint first.",
        FIELDS + "\nFields of the config:\n" + _fields("heurax.runs.config", "TrainConfig"),
    )
    train.add_argument("config", help="a YAML file, or the name of a config that `heurax list configs` shows")
    train.add_argument("--run_dir", type=Path, help="where the run lives (default: runs/NAME of the config)")
    train.add_argument(
        "--cpu_devices",
        type=_positive,
        help="virtual devices that the cores are made into where JAX finds no accelerator (default: one per core)",
    )

    lives = add(
        "live",
        _live,
        "live lifetimes with a fixed rule, and write their curves",
        "\n\nWrites lifetimes.json, lifetimes.csv and lifetimes.png.",
        LIFETIMES + "\nFields of the config:\n" + _fields("heurax.evaluation.lifetimes", "LifetimesConfig"),
    )
    lives.add_argument("config", help="a YAML file, or the name of a config that `heurax list configs` shows")
    lives.add_argument("--out", type=Path, help="directory for the results (default: runs/NAME of the config)")
    lives.add_argument("--cpu_devices", type=_positive, help="as in `heurax train`")

    evaluate = add(
        "evaluate",
        _evaluate,
        "compare a learned optimizer with tuned baselines",
        "\n\nWrites evaluation.json, evaluation.csv, evaluation_curves.csv and evaluation.png.",
        FIELDS + "\nFields of the config:\n" + _fields("heurax.evaluation.config", "EvaluationConfig"),
    )
    evaluate.add_argument("artifact", type=Path, help="an artifact's directory, or a run's")
    evaluate.add_argument("--config", help="a YAML file, or a config's name (default: the built-in settings)")
    evaluate.add_argument("--out", type=Path, help="directory for the results (default: that of the run or artifact)")

    export = add("export", _export, "write the rule of a run's latest checkpoint as an artifact")
    export.add_argument("run", type=Path, help="a run directory")
    export.add_argument("out", type=Path, help="the artifact's directory; must not exist")

    importing = add(
        "import",
        _import,
        "write published weights as an artifact",
        "\n\nA file does not say which rule it belongs to: name it. Every array is checked against it.",
        "The rule's fields can be set after OUT:\n\n  --rule.lstm_hidden_size 64\n\n"
        "`heurax list NAME` describes a rule and its fields.",
    )
    importing.add_argument("file", type=Path, help="the published file, such as the flax-msgpack theta.state of Celo")
    importing.add_argument("out", type=Path, help="the artifact's directory; must not exist")
    importing.add_argument("--rule", required=True, help="the rule that the weights belong to, such as VeLO")

    listing = add(
        "list", _list, "name the rules, tasks, environments, inner loops, agents, estimators, outer loops and configs"
    )
    listing.add_argument(
        "what",
        nargs="?",
        help="one group (rules, tasks, environments, inner, agents, estimators, outer, strategies, configs) or name",
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be >= 1, got {value}")
    return value


def _fields(module: str, name: str) -> str:
    """The argument section of a config's docstring, read without importing JAX."""
    import ast

    path = Path(heurax.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    docstring = next(inspect.cleandoc(ast.get_docstring(node) or "") for node in classes if node.name == name)
    return docstring.partition("Args:\n")[2]


def _train(options: argparse.Namespace, overrides: list[str]) -> int:
    from heurax.config import find_config, read_config
    from heurax.runs import TrainConfig, initialize, is_first_process, split_cpu, train

    split_cpu(options.cpu_devices)
    initialize()
    path = find_config(options.config)
    config, text = read_config(TrainConfig, path, overrides)
    run_dir = options.run_dir or Path("runs") / path.stem
    console = Console(stderr=True, quiet=not is_first_process())
    summary = train(config, run_dir, text, console)
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


def _live(options: argparse.Namespace, overrides: list[str]) -> int:
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


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> int:
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


def _export(options: argparse.Namespace, overrides: list[str]) -> int:
    del overrides  # unused: there is no config to override
    from heurax.runs import export

    step = export(options.run, options.out)
    print(f"{options.out}: the rule of {options.run} after {step:,} outer steps")
    return 0


def _import(options: argparse.Namespace, overrides: list[str]) -> int:
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


def _list(options: argparse.Namespace, overrides: list[str]) -> int:
    del overrides  # unused: as in `_export`
    from heurax.listing import print_listing

    print_listing(options.what)
    return 0


if __name__ == "__main__":
    entry_point()
