"""Reading what was found: runs, sweeps and evaluations as data frames, figures, expressions, and reports in HTML."""

from heurax.analysis.bands import curve_bands, thinned
from heurax.analysis.curves import curves_figure, training_figure, tuning_figure
from heurax.analysis.drifts import drift_figure, drift_table, published_drifts
from heurax.analysis.evaluations import EvaluationData, load_evaluation
from heurax.analysis.profiles import interval_figure, profile_figure, profile_table
from heurax.analysis.runs import RunData, load_run, stack_runs
from heurax.analysis.steps import schedule_figure, schedule_table, step_size_figure, step_size_table
from heurax.analysis.suites import SuiteData, interval_table, load_suite
from heurax.analysis.sweep_figures import importance_figure, parallel_figure, response_figure, trials_figure
from heurax.analysis.sweeps import SweepData, load_sweep
from heurax.analysis.symbolic import Branch, SymbolicDrift, fit_drift
from heurax.analysis.terms import Term, candidate_terms
from heurax.analysis.updates import update_figure, update_table

__all__ = [
    "Branch",
    "EvaluationData",
    "RunData",
    "SuiteData",
    "SweepData",
    "SymbolicDrift",
    "Term",
    "candidate_terms",
    "curve_bands",
    "curves_figure",
    "drift_figure",
    "drift_table",
    "fit_drift",
    "importance_figure",
    "interval_figure",
    "interval_table",
    "load_evaluation",
    "load_run",
    "load_suite",
    "load_sweep",
    "parallel_figure",
    "profile_figure",
    "profile_table",
    "published_drifts",
    "response_figure",
    "schedule_figure",
    "schedule_table",
    "stack_runs",
    "step_size_figure",
    "step_size_table",
    "thinned",
    "training_figure",
    "trials_figure",
    "tuning_figure",
    "update_figure",
    "update_table",
]
