"""A learned drift written down: a sparse sum of candidate terms for each sign of the advantage."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares
from sklearn.linear_model import orthogonal_mp

from heurax.analysis.drifts import drift_table
from heurax.analysis.terms import Term, candidate_terms
from heurax.rules.drifts import DriftFunction

__all__ = ["Branch", "SymbolicDrift", "fit_drift"]

THRESHOLD = 1e-4
EXACT = 1e-9
"""Unexplained variance, as a fraction, that is float32's rounding and not worth another term."""


@dataclass(frozen=True)
class Branch:
    """The sum on one side, and how well it fits there.

    Attributes:
        coefficients: one per term.
        terms: with their fitted constants.
        r2: fraction of the variance explained; 1 where the drift is constant and met.
        rmse: root mean squared error, on the grid.
    """

    coefficients: tuple[float, ...]
    terms: tuple[Term, ...]
    r2: float
    rmse: float

    @property
    def threshold(self) -> float:
        """What is taken off the sum: 1e-4, as in LPO, where a term leaves ratio 1 with a slope; else 0."""
        return 0.0 if all(term.stationary for term in self.terms) else THRESHOLD

    def __str__(self) -> str:
        pairs = list(zip(self.coefficients, self.terms, strict=True))
        parts = [str(term) if f"{c:.3g}" == "1" else f"{c:.3g} {term}" for c, term in pairs]
        text = " + ".join(parts).replace("+ -", "- ") or "0"
        if self.threshold:
            return f"relu({text} - {self.threshold:g})"
        return text if all(c >= 0 and not term.signed for c, term in pairs) else f"relu({text})"


@dataclass(frozen=True)
class SymbolicDrift:
    """A drift as an expression: `relu` of one sum where the advantage is at least 0, of another where it is negative.

    It vanishes with its gradient at ratio 1, so that the conditions of mirror learning hold for the expression too.

    Attributes:
        positive: for advantages >= 0.
        negative: for advantages < 0.
        r2: fraction of the drift's variance that the expression explains, on the whole grid.
        rmse: root mean squared error on it.
    """

    positive: Branch
    negative: Branch
    r2: float
    rmse: float

    @property
    def expression(self) -> str:
        """The expression, readable, with constants to three digits."""
        return f"A >= 0: {self.positive}; A < 0: {self.negative}"

    def summary(self) -> dict[str, object]:
        """What a report keeps: the expression and its errors, ready for JSON."""
        sides = {"A >= 0": self.positive, "A < 0": self.negative}
        return {
            "expression": self.expression,
            "r2": self.r2,
            "rmse": self.rmse,
            "branches": {
                name: {
                    "terms": [str(term) for term in branch.terms],
                    "coefficients": list(branch.coefficients),
                    "constants": [term.constant for term in branch.terms],
                    "r2": branch.r2,
                    "rmse": branch.rmse,
                }
                for name, branch in sides.items()
            },
        }

    def drift(self, log_ratio: jax.Array, advantage: jax.Array, progress: jax.Array) -> jax.Array:
        """The expression as a drift function, for anybody's PPO."""
        log_ratio, advantage, _ = jnp.broadcast_arrays(log_ratio, advantage, progress)
        sides = [_total(branch, log_ratio, advantage) - branch.threshold for branch in (self.positive, self.negative)]
        return jax.nn.relu(jnp.where(advantage >= 0, *sides)).astype(log_ratio.dtype)


def fit_drift(
    drift: DriftFunction,
    max_terms: int = 3,
    tolerance: float = 0.01,
    progress: float = 0.5,
    max_ratio: float = 2.0,
    max_advantage: float = 2.0,
    terms: Sequence[Term] | None = None,
) -> SymbolicDrift:
    """Fit a sparse expression to a drift on a grid.

    For each sign of the advantage, orthogonal matching pursuit (scikit-learn) chooses 1, 2, ... terms of the library,
    and least squares (SciPy) their coefficients and constants. The fewest terms win whose R^2 is within `tolerance` of
    the best.

    Args:
        drift: elementwise function of log-ratio, advantage and training progress.
        max_terms: of each branch; >= 1.
        tolerance: R^2 that a simpler expression may lose; in [0, 1).
        progress: the fraction of training at which to look, in [0, 1].
        max_ratio: ratios go from its inverse to it, evenly in their logarithm; > 1.
        max_advantage: advantages go from minus it to it; > 0.
        terms: the library; None for `candidate_terms()`.

    Returns:
        The expression with its errors.

    Raises:
        ValueError: a value out of its range, or a drift that is not finite on the grid.
    """
    if max_terms < 1:
        raise ValueError(f"max_terms must be >= 1, got {max_terms}")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance must be in [0, 1), got {tolerance}")
    if not (max_ratio > 1 and max_advantage > 0):
        raise ValueError(f"max_ratio must be > 1 and max_advantage > 0, got {max_ratio} and {max_advantage}")
    ratios, advantages = np.geomspace(1 / max_ratio, max_ratio, 61), np.linspace(-max_advantage, max_advantage, 61)
    table = drift_table(drift, tuple(ratios), tuple(advantages), (progress,))
    log_ratio, advantage, value = (
        x.to_numpy(np.float64) for x in (np.log(table.ratio.astype(np.float64)), table.advantage, table.drift)
    )
    if not np.isfinite(value).all():
        raise ValueError(f"drift must be finite, got {np.count_nonzero(~np.isfinite(value))} values that are not")
    library = candidate_terms() if terms is None else tuple(terms)
    good = advantage >= 0
    positive, negative = (
        _fit_branch(library, log_ratio[side], advantage[side], value[side], max_terms, tolerance)
        for side in (good, ~good)
    )
    total = np.where(good, *(_values(branch, log_ratio, advantage) for branch in (positive, negative)))
    return SymbolicDrift(positive, negative, *_errors(total, value))


def _fit_branch(
    library: Sequence[Term],
    log_ratio: np.ndarray,
    advantage: np.ndarray,
    value: np.ndarray,
    max_terms: int,
    tolerance: float,
) -> Branch:
    none = Branch((), (), *_errors(np.zeros_like(value), value))
    if not value.any():
        return none
    columns = np.stack([term(np, log_ratio, advantage) for term in library], axis=1)
    norms = np.linalg.norm(columns, axis=0)
    usable = norms > EXACT * np.linalg.norm(value)
    columns, norms = columns[:, usable], norms[usable]
    library = [term for term, use in zip(library, usable, strict=True) if use]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the pursuit ends early where terms have become dependent
        path = orthogonal_mp(columns / norms, value, n_nonzero_coefs=min(max_terms, len(library)), return_path=True)
    path = np.asarray(path).reshape(len(library), -1)
    branches = [none]
    for coefficients in path.T:
        chosen = np.flatnonzero(coefficients)
        start = [library[i] for i in chosen]
        branches.append(_refine(start, coefficients[chosen] / norms[chosen], log_ratio, advantage, value))
        if branches[-1].r2 > 1 - EXACT:
            break
    best = max(branch.r2 for branch in branches)
    return next(branch for branch in branches if branch.r2 >= best - tolerance)


def _refine(
    terms: list[Term], coefficients: np.ndarray, log_ratio: np.ndarray, advantage: np.ndarray, value: np.ndarray
) -> Branch:
    """Least squares in the coefficients and the logarithms of the constants, from where the pursuit left them."""
    constants = {i: term.constant for i, term in enumerate(terms) if term.constant is not None}

    def branch(z: np.ndarray) -> Branch:
        moved = list(terms)
        for i, log_constant in zip(constants, z[len(terms) :], strict=True):
            moved[i] = replace(terms[i], constant=float(np.exp(log_constant)))
        return Branch(tuple(z[: len(terms)].tolist()), tuple(moved), 0.0, 0.0)

    start = np.concatenate([coefficients, np.log(list(constants.values()))])
    bound = np.log(4.0)  # a constant stays within a factor of four of the library's
    lower = np.concatenate([np.full(len(terms), -np.inf), start[len(terms) :] - bound])
    upper = np.concatenate([np.full(len(terms), np.inf), start[len(terms) :] + bound])
    solution = least_squares(
        lambda z: _total(branch(z), log_ratio, advantage, np) - value, start, bounds=(lower, upper), x_scale="jac"
    )
    fitted = branch(solution.x)
    r2, rmse = _errors(_values(fitted, log_ratio, advantage), value)
    return replace(fitted, r2=r2, rmse=rmse)


def _total(branch: Branch, log_ratio: Any, advantage: Any, module: Any = jnp) -> Any:
    """The sum before its relu."""
    total = module.zeros_like(log_ratio)
    for coefficient, term in zip(branch.coefficients, branch.terms, strict=True):
        total = total + coefficient * term(module, log_ratio, advantage)
    return total


def _values(branch: Branch, log_ratio: np.ndarray, advantage: np.ndarray) -> np.ndarray:
    return np.maximum(_total(branch, log_ratio, advantage, np) - branch.threshold, 0)


def _errors(fitted: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """R^2 and root mean squared error."""
    error, spread = np.mean((fitted - value) ** 2), np.var(value)
    r2 = 1 - error / spread if spread > 0 else float(error == 0)
    return float(r2), float(np.sqrt(error))
