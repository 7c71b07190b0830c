"""The report of an evaluation."""

from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from heurax.analysis.curves import curves_figure, tuning_figure
from heurax.analysis.evaluations import EvaluationData, load_evaluation
from heurax.analysis.report.page import Block, Code, Facts, Page, Picture, Section, Table
from heurax.analysis.report.parts import command, configuration, interval

__all__ = ["evaluation_page", "evaluation_sections", "verdict"]


def evaluation_page(path: Path) -> Page:
    """Read the directory of an evaluation as a report.

    Raises:
        HeuraxError: there is no evaluation, or a file of it is damaged.
    """
    evaluation = load_evaluation(path)
    summary = evaluation.summary
    learned, best = summary["learned"], summary["baselines"][summary["best_baseline"]]
    facts = Facts(
        [
            ("learned, final training loss", learned["final_train_loss"]["mean"]),
            (f"tuned {best['name']}", best["final_train_loss"]["mean"]),
            ("seeds won", f"{summary['seeds_won']} of {summary['num_seeds']}"),
            ("inner steps", summary["num_steps"]),
        ],
        large=True,
    )
    return Page("Evaluation", path.resolve().name, verdict(evaluation), facts, evaluation_sections(evaluation))


def evaluation_sections(evaluation: EvaluationData) -> list[Section]:
    """What an evaluation found, how it was done, and how to do it again."""
    summary, identity = evaluation.summary, evaluation.identity
    found: list[Block] = [
        Picture(
            f"Training loss of each step's batch: the learned optimizer and every baseline at its best learning rate, "
            f"means of {summary['num_seeds']} held-out seeds and their bootstrap intervals.",
            curves_figure(evaluation.curves),
        ),
        Picture(
            "Final training loss over the learning rates that baselines were given; the learned optimizer has none.",
            tuning_figure(evaluation.finals),
        ),
        Table(f"After {summary['num_steps']:,} steps, mean and interval, best first", _ranking(summary)),
    ]
    how: list[Block] = [
        Facts([("artifact", identity.get("artifact")), ("SHA-256 of its arrays", identity.get("theta_sha256"))]),
        *configuration(evaluation.fields),
    ]
    again = command("heurax", "evaluate", evaluation.path, "--config", "evaluation.yaml", "--out", "evaluation-again")
    repeat: list[Block] = [
        Code(_yaml(evaluation.config), "Save this as evaluation.yaml,"),
        Code(again, "and evaluate the same artifact:"),
    ]
    return [
        Section("Against tuned baselines", found),
        Section("How it was measured", how, folded=True),
        Section("Evaluate again", repeat, folded=True),
    ]


def verdict(evaluation: EvaluationData) -> str:
    """The paired difference in a sentence."""
    summary = evaluation.summary
    difference, best = summary["paired_difference"], summary["best_baseline"]
    if difference["high"] < 0:
        judgement = "the learned optimizer ends lower"
    elif difference["low"] > 0:
        judgement = "the baseline ends lower"
    else:
        judgement = "no difference beyond chance"
    return (
        f"Final training loss, learned minus tuned {best}, paired by seed: {interval(difference, '+.4f')}, "
        f"lower on {summary['seeds_won']} of {summary['num_seeds']} seeds: {judgement}."
    )


def _ranking(summary: dict[str, Any]) -> pd.DataFrame:
    rows = sorted([summary["learned"], *summary["baselines"].values()], key=lambda row: row["final_train_loss"]["mean"])
    return pd.DataFrame(
        [
            {
                "optimizer": row["name"],
                "learning rate": row["learning_rate"],
                "training loss": interval(row["final_train_loss"]),
                "validation": interval(row["final_validation_loss"]),
                "test": interval(row["final_test_loss"]),
                "best rate at the grid's edge": bool(row.get("learning_rate_at_grid_edge", False)),
            }
            for row in rows
        ]
    ).astype({"learning rate": "float64"})


def _yaml(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False).rstrip()
