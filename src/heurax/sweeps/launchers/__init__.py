"""Launchers: where the trials of a sweep run."""

from heurax.sweeps.launchers.base import Exit, Job, Launcher, Pool
from heurax.sweeps.launchers.local import Local
from heurax.sweeps.launchers.ray import Ray
from heurax.sweeps.launchers.slurm import Slurm

__all__ = ["LAUNCHERS", "Exit", "Job", "Launcher", "Local", "Pool", "Ray", "Slurm"]

LAUNCHERS: dict[str, type[Launcher]] = {cls.__name__: cls for cls in (Local, Ray, Slurm)}
"""All launchers by name."""
