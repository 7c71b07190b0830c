"""A rule against baselines: training runs on held-out seeds, statistics, tables and figures."""

from heurax.evaluation.baselines import BASELINES, Baseline
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
from heurax.evaluation.suite import Suite, find_suite, suites
from heurax.evaluation.suite_evaluation import SUITE_FILE, evaluate_suite, suite_table, suite_verdict
from heurax.evaluation.tables import SCHEMAS, read_table

__all__ = [
    "BASELINES",
    "SCHEMAS",
    "SUITE_FILE",
    "Baseline",
    "Evaluation",
    "EvaluationConfig",
    "Interval",
    "Lifetimes",
    "LifetimesConfig",
    "Lives",
    "Profile",
    "StepsOfBaseline",
    "Suite",
    "area_under_log_curve",
    "bootstrap_mean",
    "check_output",
    "evaluate",
    "evaluate_suite",
    "evaluation_identity",
    "figure",
    "find_suite",
    "interquartile_mean",
    "lifetimes_figure",
    "live",
    "performance_profile",
    "profile_score",
    "read_table",
    "smoothed",
    "speed_up",
    "steps_of_baseline",
    "stratified_bootstrap",
    "suite_table",
    "suite_verdict",
    "suites",
    "terminal_table",
    "verdict",
    "write_evaluation",
    "write_lifetimes",
]
