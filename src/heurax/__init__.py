"""heurax: meta-train learned optimizers and discover reinforcement-learning algorithms in JAX."""

from heurax.artifacts import Artifact, load
from heurax.errors import HeuraxError

__all__ = ["Artifact", "HeuraxError", "__version__", "load"]

__version__ = "0.1.0"
