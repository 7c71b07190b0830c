"""What is discovered: rules, each a frozen dataclass whose meta-parameters `theta` the outer loop trains."""

from heurax.rules.base import LearnedOptimizer, Rule
from heurax.rules.drifts import (
    DPO,
    DRIFTS,
    LPO,
    PPOKL,
    Drift,
    DriftFunction,
    NoDrift,
    PPOClip,
    QuadraticDrift,
    TemporallyAwareLPO,
)
from heurax.rules.optimizers import (
    RNNMLP,
    AdafacMLP,
    Celo,
    Celo2,
    CeloAdam,
    LearnableAdam,
    LearnableMomentum,
    LearnableSGD,
    MLPOptimizer,
    MuP,
    NNAdam,
    Open,
    OptaxOptimizer,
    Optim4RL,
    VeLO,
    accumulate_to_horizon,
    state_shardings,
)
from heurax.rules.scalar import Scalar

__all__ = [
    "DPO",
    "DRIFTS",
    "LPO",
    "PPOKL",
    "RNNMLP",
    "RULES",
    "AdafacMLP",
    "Celo",
    "Celo2",
    "CeloAdam",
    "Drift",
    "DriftFunction",
    "LearnableAdam",
    "LearnableMomentum",
    "LearnableSGD",
    "LearnedOptimizer",
    "MLPOptimizer",
    "MuP",
    "NNAdam",
    "NoDrift",
    "Open",
    "OptaxOptimizer",
    "Optim4RL",
    "PPOClip",
    "QuadraticDrift",
    "Rule",
    "Scalar",
    "TemporallyAwareLPO",
    "VeLO",
    "accumulate_to_horizon",
    "state_shardings",
]

RULES: dict[str, type[Rule]] = {
    rule.__name__: rule
    for rule in (
        AdafacMLP,
        Celo,
        Celo2,
        CeloAdam,
        LearnableAdam,
        LearnableMomentum,
        LearnableSGD,
        MLPOptimizer,
        MuP,
        NNAdam,
        Open,
        Optim4RL,
        OptaxOptimizer,
        RNNMLP,
        *DRIFTS.values(),
        Scalar,
        VeLO,
    )
}
"""Rules by name: the fixed table through which artifacts are loaded, so that an artifact cannot run code."""
