"""Candidate terms of a symbolic drift; all vanish at ratio 1, and nearly all with their gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Term", "candidate_terms"]

SCALES = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 4.0)
EPSILONS = (0.05, 0.1, 0.2, 0.3, 0.5)

POWERS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("(r - 1 - log r)", lambda m, d: m.expm1(d) - d),
    ("(r log r - r + 1)", lambda m, d: m.exp(d) * d - m.expm1(d)),
    ("(r-1)^2", lambda m, d: m.expm1(d) ** 2),
    ("(r-1)^3", lambda m, d: m.expm1(d) ** 3),
    ("(log r)^2", lambda m, d: m.square(d)),
    ("(log r)^3", lambda m, d: m.square(d) * d),
    ("|log r|^3", lambda m, d: m.abs(d) ** 3),
    ("(log r)^4", lambda m, d: m.square(d) ** 2),
)
SLOPES: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("relu(r-1)", lambda m, d: m.maximum(m.expm1(d), 0)),
    ("relu(1-r)", lambda m, d: m.maximum(-m.expm1(d), 0)),
    ("relu(log r)", lambda m, d: m.maximum(d, 0)),
    ("relu(-log r)", lambda m, d: m.maximum(-d, 0)),
)
WEIGHTS: tuple[tuple[str, Callable[[Any, Any], Any]], ...] = (
    ("", lambda m, a: m.ones_like(a)),
    ("|A| ", lambda m, a: m.abs(a)),
    ("A^2 ", lambda m, a: m.square(a)),
)


@dataclass(frozen=True)
class Term:
    """A function of log-ratio and advantage, perhaps with a constant that a fit may move.

    Args:
        text: the function with `r`, `A` and `{c}` for the constant.
        function: of a module (`numpy` or `jax.numpy`), log-ratio `d`, advantage `A` and the constant.
        constant: where the fit of the constant begins; None if there is none.
        signed: whether the function may be negative.
        stationary: whether its gradient vanishes at ratio 1 from both sides.
    """

    text: str
    function: Callable[[Any, Any, Any, Any], Any]
    constant: float | None = None
    signed: bool = False
    stationary: bool = True

    def __str__(self) -> str:
        return self.text if self.constant is None else self.text.replace("{c}", f"{self.constant:.3g}")

    def __call__(self, module: Any, log_ratio: Any, advantage: Any) -> Any:
        """The values of the term."""
        return self.function(module, log_ratio, advantage, self.constant)


def candidate_terms() -> tuple[Term, ...]:
    """The library: soft limits as in DPO, clips as in PPO, divergences, low powers of `r - 1` and `log r`, and slopes.

    >>> [str(term) for term in candidate_terms() if "0.6" in str(term)]
    ['relu((r-1)A - 0.6 tanh((r-1)A/0.6))', 'relu(A log r - 0.6 tanh(A log r/0.6))']
    """
    limits = [
        Term(text, function, scale)
        for text, function in (
            ("relu((r-1)A - {c} tanh((r-1)A/{c}))", lambda m, d, a, c: _soft_limit(m, m.expm1(d) * a, c)),
            ("relu(A log r - {c} tanh(A log r/{c}))", lambda m, d, a, c: _soft_limit(m, d * a, c)),
        )
        for scale in SCALES
    ]
    clips = [
        Term("relu((r - clip(r, 1 +- {c}))A)", lambda m, d, a, c: _clip(m, d, a, c), epsilon) for epsilon in EPSILONS
    ]
    powers = [
        Term(weight + base, lambda m, d, a, _, f=function, w=weigh: w(m, a) * f(m, d), signed=base.endswith(")^3"))
        for base, function in POWERS
        for weight, weigh in WEIGHTS
    ]
    slopes = [
        Term(weight + base, lambda m, d, a, _, f=function, w=weigh: w(m, a) * f(m, d), stationary=False)
        for base, function in SLOPES
        for weight, weigh in WEIGHTS
    ]
    return (*limits, *clips, *powers, *slopes)


def _soft_limit(module: Any, x: Any, scale: Any) -> Any:
    return module.maximum(x - scale * module.tanh(x / scale), 0)


def _clip(module: Any, log_ratio: Any, advantage: Any, epsilon: Any) -> Any:
    ratio = module.exp(log_ratio)
    return module.maximum((ratio - module.clip(ratio, 1 - epsilon, 1 + epsilon)) * advantage, 0)
