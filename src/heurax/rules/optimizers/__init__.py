"""Learned optimizers: rules that map `theta` to an optax transformation, one file per family."""

from heurax.rules.optimizers.adafac_mlp import AdafacMLP
from heurax.rules.optimizers.celo import Celo
from heurax.rules.optimizers.celo2 import Celo2
from heurax.rules.optimizers.celo_adam import CeloAdam
from heurax.rules.optimizers.horizon import accumulate_to_horizon
from heurax.rules.optimizers.learnable import (
    ClippedAdam,
    LearnableAdam,
    LearnableMomentum,
    LearnableSGD,
    OptaxOptimizer,
)
from heurax.rules.optimizers.mlp_optimizer import MLPOptimizer
from heurax.rules.optimizers.mup import MuP
from heurax.rules.optimizers.nn_adam import NNAdam
from heurax.rules.optimizers.open_optimizer import Open
from heurax.rules.optimizers.optim4rl import Optim4RL
from heurax.rules.optimizers.rnn_mlp import RNNMLP
from heurax.rules.optimizers.sharding import state_shardings
from heurax.rules.optimizers.velo import VeLO

__all__ = [
    "RNNMLP",
    "AdafacMLP",
    "Celo",
    "Celo2",
    "CeloAdam",
    "ClippedAdam",
    "LearnableAdam",
    "LearnableMomentum",
    "LearnableSGD",
    "MLPOptimizer",
    "MuP",
    "NNAdam",
    "Open",
    "OptaxOptimizer",
    "Optim4RL",
    "VeLO",
    "accumulate_to_horizon",
    "state_shardings",
]
