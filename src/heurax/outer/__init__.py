"""How rules improve: meta-gradient estimators, evolution strategies, outer optimizers, and the outer step."""

from heurax.outer.base import Estimate, Estimator, OuterLoop
from heurax.outer.descent import Descent, DescentState
from heurax.outer.estimators import (
    Average,
    Bootstrapped,
    ESSingle,
    ForwardGradient,
    FullES,
    FullGradient,
    GuidedES,
    MixedSteps,
    NoiseReuseES,
    PersistentES,
    Replay,
    TruncatedES,
    TruncatedGradient,
)
from heurax.outer.evolution import Evolution, EvolutionState, strategies
from heurax.outer.families import Family, RandomFamilies
from heurax.outer.level_replay import LevelBuffer, LevelReplay
from heurax.outer.mixture import Mixture, MixtureState
from heurax.outer.optimizer import OuterOptimizer
from heurax.outer.perturbation import SigmaSchedule
from heurax.outer.regret_curriculum import RegretCurriculum, RegretCurriculumState
from heurax.outer.truncation import ConstantLength, CurriculumLength, LogUniformLength, NeverEnding, Truncation

__all__ = [
    "ESTIMATORS",
    "OUTER_LOOPS",
    "TRUNCATIONS",
    "Average",
    "Bootstrapped",
    "ConstantLength",
    "CurriculumLength",
    "Descent",
    "DescentState",
    "ESSingle",
    "Estimate",
    "Estimator",
    "Evolution",
    "EvolutionState",
    "Family",
    "ForwardGradient",
    "FullES",
    "FullGradient",
    "GuidedES",
    "LevelBuffer",
    "LevelReplay",
    "LogUniformLength",
    "MixedSteps",
    "Mixture",
    "MixtureState",
    "NeverEnding",
    "NoiseReuseES",
    "OuterLoop",
    "OuterOptimizer",
    "PersistentES",
    "RandomFamilies",
    "RegretCurriculum",
    "RegretCurriculumState",
    "Replay",
    "SigmaSchedule",
    "TruncatedES",
    "TruncatedGradient",
    "Truncation",
    "strategies",
]

ESTIMATORS: dict[str, type[Estimator]] = {
    estimator.__name__: estimator
    for estimator in (
        Average,
        Bootstrapped,
        ESSingle,
        ForwardGradient,
        FullES,
        FullGradient,
        GuidedES,
        MixedSteps,
        NoiseReuseES,
        PersistentES,
        Replay,
        TruncatedES,
        TruncatedGradient,
    )
}
"""Estimators by name."""

OUTER_LOOPS: dict[str, type[OuterLoop]] = {
    loop.__name__: loop for loop in (Descent, Evolution, Mixture, RegretCurriculum)
}
"""Outer loops by name."""

TRUNCATIONS: dict[str, type[Truncation]] = {
    truncation.__name__: truncation for truncation in (ConstantLength, CurriculumLength, LogUniformLength, NeverEnding)
}
"""Truncation schedules by name."""
