"""Learned optimizers: rules that map `theta` to an optax transformation, one file per family."""

from heurax.rules.optimizers.adafac_mlp import AdafacMLP
from heurax.rules.optimizers.learnable import LearnableAdam, OptaxOptimizer

__all__ = ["AdafacMLP", "LearnableAdam", "OptaxOptimizer"]
