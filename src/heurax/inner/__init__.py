"""How one lifetime runs: inner loops, pure and written for one lifetime."""

from heurax.inner.actor import ActorState, ActorTraining
from heurax.inner.base import InnerLoop, StepResult
from heurax.inner.experience_replay import ExperienceReplay
from heurax.inner.influence_balancing import InfluenceBalancing
from heurax.inner.meta_critic import Critic
from heurax.inner.networks import NETWORKS, ConvNetwork, GRUNetwork, MLPNetwork, Network, TabularNetwork
from heurax.inner.policies import POLICIES, Categorical, DiagonalGaussian, Policy
from heurax.inner.ppo import PPO, PPOState
from heurax.inner.supervised import SupervisedState, SupervisedTraining
from heurax.inner.torsos import TORSOS, ConvTorso, MLPTorso, TableTorso, Torso
from heurax.inner.training import Lifetime, train

__all__ = [
    "INNER_LOOPS",
    "NETWORKS",
    "POLICIES",
    "PPO",
    "TORSOS",
    "ActorState",
    "ActorTraining",
    "Categorical",
    "ConvNetwork",
    "ConvTorso",
    "Critic",
    "DiagonalGaussian",
    "ExperienceReplay",
    "GRUNetwork",
    "InfluenceBalancing",
    "InnerLoop",
    "Lifetime",
    "MLPNetwork",
    "MLPTorso",
    "Network",
    "PPOState",
    "Policy",
    "StepResult",
    "SupervisedState",
    "SupervisedTraining",
    "TableTorso",
    "TabularNetwork",
    "Torso",
    "train",
]

INNER_LOOPS: dict[str, type[InnerLoop]] = {
    loop.__name__: loop for loop in (ActorTraining, InfluenceBalancing, PPO, SupervisedTraining)
}
"""Inner loops by name."""
