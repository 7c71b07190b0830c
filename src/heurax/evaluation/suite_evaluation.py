"""A suite from beginning to end: trainings, scores, tables and `suite.json` in one directory."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from heurax.evaluation.report import check_output
from heurax.evaluation.run_suite import LEARNED, run_suite
from heurax.evaluation.suite import Suite
from heurax.evaluation.suite_scores import profile_table, score_table, suite_summary
from heurax.evaluation.tables import COSTS, CURVES, PROFILES, RUNS, SCORES, read_table, write_table
from heurax.files import disk_errors, write_text
from heurax.rules import Rule

__all__ = ["SUITE_FILE", "evaluate_suite", "judgement", "suite_table", "suite_verdict"]

SUITE_FILE = "suite.json"


def evaluate_suite(
    rule: Rule,
    theta: Any,
    suite: Suite,
    directory: Path,
    identity: dict[str, Any],
    console: Console | None = None,
) -> dict[str, Any]:
    """Evaluate a learned optimizer by a suite; go on where an earlier call on the same directory stopped.

    Writes the tables of `heurax.evaluation.tables.SCHEMAS` as Parquet files, and `suite.json`.

    Args:
        rule: a learned optimizer.
        theta: its meta-parameters.
        suite: the suite.
        directory: of the evaluation; made if it is not there.
        identity: JSON that says what is evaluated, and how; a directory that holds another is refused.
        console: where progress is shown; standard error if None.

    Returns:
        What `suite.json` holds: `identity`, `status`, and of a finished suite all that `suite_summary` says.

    Raises:
        HeuraxError: the rule is no learned optimizer; the directory holds another evaluation, or a damaged one.
    """
    check_output(directory, identity, SUITE_FILE)
    with disk_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
    path = directory / SUITE_FILE
    if not path.is_file():
        write_text(path, json.dumps({"identity": identity, "status": "running"}, indent=2) + "\n")
    run_suite(rule, theta, suite, directory, console)
    runs, curves, costs = (read_table(directory, table) for table in (RUNS, CURVES, COSTS))
    scores = score_table(suite, runs, curves)
    write_table(directory, SCORES, scores)
    write_table(directory, PROFILES, profile_table(suite, scores))
    described = {"identity": identity, "status": "finished", **suite_summary(suite, runs, scores, costs)}
    write_text(path, json.dumps(described, indent=2) + "\n")
    return described


def suite_table(described: dict[str, Any], num_steps: int) -> Table:
    """The scores of all optimizers at one horizon, best first.

    Args:
        described: of `evaluate_suite`.
        num_steps: the horizon.
    """
    reference, rows = described["reference"], described["horizons"][str(num_steps)]
    table = Table(
        title=f"{num_steps:,} steps, {rows[LEARNED]['num_tasks']} tasks: interquartile means over tasks and seeds",
        title_justify="left",
    )
    table.add_column("optimizer")
    headings = (f"log({reference}'s loss / its)", "speed-up", "profile", "tasks better", "operations", "memory")
    for heading in headings:
        table.add_column(heading, justify="right")
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["log_ratio"]["mean"]):
        cost = described["costs"][name]
        table.add_row(
            name,
            "{mean:+.3f} \\[{low:+.3f}, {high:+.3f}]".format(**row["log_ratio"]),  # an escaped [, not mark-up
            "-" if row["speed_up"] is None else "{mean:.2f}".format(**row["speed_up"]),
            f"{row['profile_score']:.3f}",
            f"{row['tasks_better']} of {row['num_tasks']}",
            f"{cost['flops_per_step']:.2f}x",
            f"{cost['bytes_per_lifetime']:.2f}x",
        )
    return table


def suite_verdict(described: dict[str, Any], num_steps: int) -> str:
    """The learned optimizer against the reference, in one sentence."""
    row, reference = described["horizons"][str(num_steps)][LEARNED], described["reference"]
    interval = row["log_ratio"]
    return (
        f"{num_steps:,} steps: log(final loss of tuned {reference} / learned) {interval['mean']:+.3f} "
        f"[{interval['low']:+.3f}, {interval['high']:+.3f}], better on {row['tasks_better']} of {row['num_tasks']} "
        f"tasks: {judgement(interval, reference)}"
    )


def judgement(log_ratio: dict[str, float], reference: str) -> str:
    """What an interval of `log(reference's final loss / the learned optimizer's)` says, in words.

    Args:
        log_ratio: its `low` and `high` ends.
        reference: name of the baseline.
    """
    if log_ratio["low"] > 0:
        return "the learned optimizer ends lower"
    return f"{reference} ends lower" if log_ratio["high"] < 0 else "no difference beyond chance"
