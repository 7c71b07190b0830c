"""Foreign weights: released meta-parameters as artifacts of ours."""

from heurax.artifacts.importers.learned_optimization import IMPORTABLE, import_theta

__all__ = ["IMPORTABLE", "import_theta"]
