"""A rule against baselines: training runs on held-out seeds, statistics, tables and figures."""

from heurax.evaluation.config import EvaluationConfig
from heurax.evaluation.evaluate import Evaluation, Lives, evaluate
from heurax.evaluation.lifetimes import Lifetimes, LifetimesConfig, lifetimes_figure, live, write_lifetimes
from heurax.evaluation.report import (
    check_output,
    evaluation_identity,
    figure,
    terminal_table,
    verdict,
    write_evaluation,
)
from heurax.evaluation.scores import (
    Profile,
    StepsOfBaseline,
    area_under_log_curve,
    performance_profile,
    profile_score,
    smoothed,
    speed_up,
    steps_of_baseline,
)
from heurax.evaluation.statistics import Interval, bootstrap_mean, interquartile_mean, stratified_bootstrap

__all__ = [
    "Evaluation",
    "EvaluationConfig",
    "Interval",
    "Lifetimes",
    "LifetimesConfig",
    "Lives",
    "Profile",
    "StepsOfBaseline",
    "area_under_log_curve",
    "bootstrap_mean",
    "check_output",
    "evaluate",
    "evaluation_identity",
    "figure",
    "interquartile_mean",
    "lifetimes_figure",
    "live",
    "performance_profile",
    "profile_score",
    "smoothed",
    "speed_up",
    "steps_of_baseline",
    "stratified_bootstrap",
    "terminal_table",
    "verdict",
    "write_evaluation",
    "write_lifetimes",
]
