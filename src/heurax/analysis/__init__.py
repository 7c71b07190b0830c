"""Reading what was found: tables, figures and expressions for notebooks and reports."""

from heurax.analysis.drifts import drift_figure, drift_table, published_drifts
from heurax.analysis.symbolic import Branch, SymbolicDrift, fit_drift
from heurax.analysis.terms import Term, candidate_terms

__all__ = [
    "Branch",
    "SymbolicDrift",
    "Term",
    "candidate_terms",
    "drift_figure",
    "drift_table",
    "fit_drift",
    "published_drifts",
]
