"""What an evaluation leaves behind: `evaluation.json`, two tidy tables and a figure; and a table for the terminal."""

import json
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from heurax.config import first_difference
from heurax.errors import HeuraxError
from heurax.evaluation.evaluate import Evaluation, Lives
from heurax.evaluation.statistics import Interval, bootstrap_mean
from heurax.files import disk_errors, write_text

__all__ = ["check_output", "evaluation_identity", "figure", "terminal_table", "verdict", "write_evaluation"]

JSON_FILE = "evaluation.json"
COLORS = ["#d1495b", "#00798c", "#edae49", "#30638e", "#6a994e"]


def check_output(directory: Path, identity: dict[str, Any], file: str = JSON_FILE) -> None:
    """Refuse a directory that holds the evaluation of something else.

    Args:
        directory: where the evaluation is to be written.
        identity: what is evaluated, and how.
        file: of the evaluation, whose `identity` is compared.

    Raises:
        HeuraxError: it holds another evaluation.
    """
    path = directory / file
    if directory.exists() and not directory.is_dir():
        raise HeuraxError(f"{directory} is a file; give a directory for the evaluation")
    if not path.is_file():
        return
    try:
        theirs = json.loads(path.read_text())["identity"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise HeuraxError(f"{path} is there and is no evaluation of heurax's; give another out") from error
    difference = first_difference(identity, theirs)
    if difference is not None:
        name, ours, other = difference
        raise HeuraxError(
            f"{path} belongs to another evaluation: {name} is {other!r} there and {ours!r} here; give another out"
        )


def write_evaluation(directory: Path, evaluation: Evaluation, identity: dict[str, Any]) -> None:
    """Write `evaluation.json`, `evaluation.csv` (per seed), `evaluation_curves.csv` and `evaluation.png`.

    Raises:
        HeuraxError: they cannot be written.
    """
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "evaluation.csv", evaluation.table().to_csv(index=False))
    write_text(directory / "evaluation_curves.csv", evaluation.curves().to_csv(index=False))
    with disk_errors(directory / "evaluation.png"):
        figure(evaluation).savefig(directory / "evaluation.png", dpi=160)
    write_text(directory / JSON_FILE, json.dumps(evaluation.summary() | {"identity": identity}, indent=2) + "\n")


def evaluation_identity(artifact: Path, theta_digest: str, config_text: str) -> dict[str, Any]:
    """What makes two evaluations the same: the rule's arrays and the config."""
    return {"artifact": artifact.name, "theta_sha256": theta_digest, "config": yaml.safe_load(config_text)}


def terminal_table(evaluation: Evaluation) -> Table:
    """Final losses of the learned optimizer and the tuned baselines, best first."""
    summary = evaluation.summary()
    percent = f"{evaluation.config.confidence:.0%}"
    table = Table(
        title=f"final losses after {evaluation.config.num_steps:,} steps, mean of {evaluation.config.num_seeds} "
        f"held-out seeds, {percent} interval",
        title_justify="left",
    )
    table.add_column("optimizer")
    for heading in ("learning rate", "training loss", "validation", "test"):
        table.add_column(heading, justify="right")
    rows = [summary["learned"], *summary["baselines"].values()]
    for row in sorted(rows, key=lambda row: row["final_train_loss"]["mean"]):
        rate = row["learning_rate"]
        edge = " (edge of grid)" if row.get("learning_rate_at_grid_edge") else ""
        table.add_row(
            row["name"],
            "-" if rate is None else f"{rate:g}{edge}",
            "{mean:.4f} \\[{low:.4f}, {high:.4f}]".format(**row["final_train_loss"]),  # an escaped [, not mark-up
            "{mean:.4f}".format(**row["final_validation_loss"]),
            "{mean:.4f}".format(**row["final_test_loss"]),
        )
    return table


def verdict(evaluation: Evaluation) -> str:
    """The paired difference in one sentence."""
    difference, best = evaluation.paired_difference, evaluation.best_baseline
    percent = f"{evaluation.config.confidence:.0%}"
    interval = f"{difference.mean:+.4f} [{difference.low:+.4f}, {difference.high:+.4f}]"
    if difference.high < 0:
        judgement = "the learned optimizer ends lower"
    elif difference.low > 0:
        judgement = "the baseline ends lower"
    else:
        judgement = "no difference beyond chance"
    return (
        f"learned minus tuned {best.name} (learning rate {best.learning_rate:g}), final training loss, paired by seed: "
        f"{interval} ({percent} bootstrap interval): {judgement}"
    )


def figure(evaluation: Evaluation) -> Any:
    """Two panels: training loss over steps, and final loss over the baselines' learning rates.

    Returns:
        A matplotlib figure.
    """
    from matplotlib.figure import Figure  # slow to import; and no pyplot, so no global state

    colors = dict(zip(["learned", *evaluation.grids], COLORS * 3, strict=False))
    fig = Figure(figsize=(10, 4.4), layout="constrained")
    left, right = fig.subplots(1, 2)

    curves = evaluation.curves()
    for lives in [*evaluation.tuned.values(), evaluation.learned]:
        curve = curves[curves["optimizer"] == lives.name]
        style: dict[str, Any] = {"color": colors[lives.name], "lw": 2.0 if lives is evaluation.learned else 1.2}
        left.plot(curve["step"], curve["mean"], label=_legend(lives), **style)
        left.fill_between(curve["step"], curve["low"], curve["high"], color=style["color"], alpha=0.2, lw=0)
    left.set(yscale="log", xlabel="inner step", ylabel="training loss (batch)", title="Training, tuned baselines")

    for name, grid in evaluation.grids.items():
        intervals = [_interval(evaluation, lives) for lives in grid]
        rates, means = [lives.learning_rate for lives in grid], [i.mean for i in intervals]
        right.plot(rates, means, "o-", ms=3.5, lw=1.2, color=colors[name])
        right.fill_between(
            rates, [i.low for i in intervals], [i.high for i in intervals], color=colors[name], alpha=0.2, lw=0
        )
    learned = _interval(evaluation, evaluation.learned)
    right.axhline(learned.mean, color=colors["learned"], lw=2.0)
    right.axhspan(learned.low, learned.high, color=colors["learned"], alpha=0.2, lw=0)
    right.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="final training loss (whole split)")
    right.set_title("Baselines over the grid")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25, lw=0.5)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    fig.suptitle(
        f"{evaluation.config.num_seeds} held-out seeds, {evaluation.config.num_steps:,} steps; "
        f"bands: {evaluation.config.confidence:.0%} bootstrap intervals of the mean",
        fontsize=10,
    )
    return fig


def _legend(lives: Lives) -> str:
    return lives.name if lives.learning_rate is None else f"{lives.name}, learning rate {lives.learning_rate:g}"


def _interval(evaluation: Evaluation, lives: Lives) -> Interval:
    return bootstrap_mean(lives.final["train"], evaluation.config.confidence, evaluation.config.num_resamples)
