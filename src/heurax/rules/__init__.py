"""What is discovered: rules, each a frozen dataclass whose meta-parameters `theta` the outer loop trains."""

from heurax.rules.base import LearnedOptimizer, Rule
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
    VeLO,
)
from heurax.rules.scalar import Scalar

__all__ = [
    "RNNMLP",
    "RULES",
    "AdafacMLP",
    "Celo",
    "Celo2",
    "CeloAdam",
    "LearnableAdam",
    "LearnableMomentum",
    "LearnableSGD",
    "LearnedOptimizer",
    "MLPOptimizer",
    "MuP",
    "NNAdam",
    "Open",
    "OptaxOptimizer",
    "Rule",
    "Scalar",
    "VeLO",
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
        OptaxOptimizer,
        RNNMLP,
        Scalar,
        VeLO,
    )
}
"""Rules by name: the fixed table through which artifacts are loaded, so that an artifact cannot run code."""
