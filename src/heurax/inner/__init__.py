"""How one lifetime runs: inner loops, pure and written for one lifetime."""

from heurax.inner.base import InnerLoop, StepResult
from heurax.inner.influence_balancing import InfluenceBalancing
from heurax.inner.networks import NETWORKS, ConvNetwork, GRUNetwork, MLPNetwork, Network, TabularNetwork
from heurax.inner.policies import POLICIES, Categorical, DiagonalGaussian, Policy
from heurax.inner.ppo import PPO, PPOState
from heurax.inner.supervised import SupervisedState, SupervisedTraining
from heurax.inner.training import Lifetime, train

__all__ = [
    "INNER_LOOPS",
    "NETWORKS",
    "POLICIES",
    "PPO",
    "Categorical",
    "ConvNetwork",
    "DiagonalGaussian",
    "GRUNetwork",
    "InfluenceBalancing",
    "InnerLoop",
    "Lifetime",
    "MLPNetwork",
    "Network",
    "PPOState",
    "Policy",
    "StepResult",
    "SupervisedState",
    "SupervisedTraining",
    "TabularNetwork",
    "train",
]

INNER_LOOPS: dict[str, type[InnerLoop]] = {
    loop.__name__: loop for loop in (InfluenceBalancing, PPO, SupervisedTraining)
}
"""Inner loops by name."""
