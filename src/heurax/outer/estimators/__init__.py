"""Estimators of the meta-gradient, one file each."""

from heurax.outer.estimators.average import Average
from heurax.outer.estimators.bootstrapped import Bootstrapped
from heurax.outer.estimators.es_single import ESSingle
from heurax.outer.estimators.evolutionary import EvolutionaryEstimator
from heurax.outer.estimators.forward_gradient import ForwardGradient
from heurax.outer.estimators.full_es import FullES
from heurax.outer.estimators.full_gradient import FullGradient
from heurax.outer.estimators.gradients import GradientEstimator
from heurax.outer.estimators.guided_es import GuidedES
from heurax.outer.estimators.mixed_steps import MixedSteps
from heurax.outer.estimators.noise_reuse_es import NoiseReuseES
from heurax.outer.estimators.persistent_es import PersistentES
from heurax.outer.estimators.replay import Replay
from heurax.outer.estimators.truncated_es import TruncatedES
from heurax.outer.estimators.truncated_gradient import TruncatedGradient

__all__ = [
    "Average",
    "Bootstrapped",
    "ESSingle",
    "EvolutionaryEstimator",
    "ForwardGradient",
    "FullES",
    "FullGradient",
    "GradientEstimator",
    "GuidedES",
    "MixedSteps",
    "NoiseReuseES",
    "PersistentES",
    "Replay",
    "TruncatedES",
    "TruncatedGradient",
]
