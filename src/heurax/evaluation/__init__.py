"""A rule against baselines: training runs on held-out seeds, statistics, tables and figures."""

from heurax.evaluation.config import EvaluationConfig
from heurax.evaluation.evaluate import Evaluation, Lives, evaluate
from heurax.evaluation.report import (
    check_output,
    evaluation_identity,
    figure,
    terminal_table,
    verdict,
    write_evaluation,
)
from heurax.evaluation.statistics import Interval, bootstrap_mean

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "Interval",
    "Lives",
    "bootstrap_mean",
    "check_output",
    "evaluate",
    "evaluation_identity",
    "figure",
    "terminal_table",
    "verdict",
    "write_evaluation",
]
