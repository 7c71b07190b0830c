"""What a mixture is mixed from: families of lifetimes, named by hand or drawn at random."""

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from heurax.inner import InnerLoop, SupervisedTraining
from heurax.outer.base import Estimator
from heurax.outer.estimators import EvolutionaryEstimator
from heurax.tasks import sample_family

__all__ = ["Family", "Normalise", "RandomFamilies"]

Normalise = Literal["none", "sign", "log", "baseline"]
"""How a family's losses are made comparable with those of others; see `Family`."""


@dataclass(frozen=True)
class Family:
    """One family of a mixture: an inner loop of static shapes of its own.

    Args:
        name: of its metrics; letters, digits, `_`, `-` and `.`.
        inner: how its lifetimes go; null is the run's inner loop. Its rule is that of the run, whatever it says here.
        estimator: of its meta-gradients; null is the mixture's.
        weight: of its share of the outer steps; > 0.
        normalise: how its losses are made comparable with those of other families: `sign` takes the sign of the
            difference of each antithetic pair (`shaping: per_pair_winner`; evolutionary estimators alone have pairs),
            `log` the logarithm of every loss (for losses > 0), `baseline` divides by the mean step loss of the
            mixture's baseline, and `none` leaves them as they are.
    """

    name: str = "inner"
    inner: InnerLoop | None = None
    estimator: Estimator | None = None
    weight: float = 1.0
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w.-]+", self.name):
            raise ValueError(f"name must be made of letters, digits, _, - and ., got {self.name!r}")
        if not self.weight > 0:
            raise ValueError(f"weight must be > 0, got {self.weight}")

    def inner_with_rule(self, inner: InnerLoop) -> InnerLoop:
        """Its inner loop, with the rule of the run's.

        Raises:
            ValueError: its inner loop takes another kind of rule.
        """
        if self.inner is None:
            return inner
        wanted = typing.get_type_hints(type(self.inner))["rule"]
        if not isinstance(inner.rule, wanted):
            raise ValueError(
                f"family {self.name!r} cannot use the run's rule: {type(self.inner).__name__} takes "
                f"{getattr(wanted, '__name__', wanted)}, got {type(inner.rule).__name__}"
            )
        described: Any = self.inner
        return dataclasses.replace(described, rule=inner.rule)

    def estimator_of(self, estimator: Estimator) -> Estimator:
        """Its estimator, shaped by sign where it is to be; the mixture's is `estimator`.

        Raises:
            ValueError: signs are wanted of an estimator without pairs.
        """
        ours = self.estimator or estimator
        if self.normalise != "sign":
            return ours
        if not isinstance(ours, EvolutionaryEstimator):
            raise ValueError(
                f"family {self.name!r} cannot be normalised by sign: {type(ours).__name__} compares no pairs"
            )
        return dataclasses.replace(ours, shaping="per_pair_winner")


@dataclass(frozen=True)
class RandomFamilies:
    """Task families of random kind, static shape, data set and augmentation, from `heurax.tasks.sample_family`.

    They are drawn once, so that a run compiles each shape once; the schedule of turns then goes through them. The run's
    inner loop, which is supervised, takes them for its task.

    Args:
        count: how many; >= 0.
        kinds: names in `heurax.tasks.SAMPLERS`, drawn uniformly; null draws from all.
        augmentations: whether they are augmented.
        seed: of what is drawn.
        weight: of each; > 0.
        normalise: as for `Family`.
    """

    count: int = 0
    kinds: tuple[str, ...] | None = None
    augmentations: bool = True
    seed: int = 0
    weight: float = 1.0
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count must be >= 0, got {self.count}")
        if not self.weight > 0:
            raise ValueError(f"weight must be > 0, got {self.weight}")
        if self.count:
            sample_family(np.random.default_rng(self.seed), self.kinds)  # raises for a kind that there is not

    def draw(self, inner: InnerLoop) -> tuple[Family, ...]:
        """The families, named `random_0`, `random_1`, ...

        Raises:
            ValueError: there are some, and the inner loop is not supervised.
        """
        if self.count and not isinstance(inner, SupervisedTraining):
            raise ValueError(
                f"random families need an inner loop that is SupervisedTraining, got {type(inner).__name__}"
            )
        described: Any = inner
        generator = np.random.default_rng(self.seed)
        drawn = []
        for index in range(self.count):
            task = sample_family(generator, self.kinds, self.augmentations)
            changed = dataclasses.replace(described, task=task)
            drawn.append(Family(f"random_{index}", changed, weight=self.weight, normalise=self.normalise))
        return tuple(drawn)
