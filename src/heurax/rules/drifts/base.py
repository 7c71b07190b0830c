"""What a drift is: the penalty that keeps a new policy near the old one in mirror learning."""

import abc
from collections.abc import Callable
from typing import Any, ClassVar

from jaxtyping import Array, Float

from heurax.rules.base import Rule

__all__ = ["Drift", "DriftFunction"]

DriftFunction = Callable[[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]], Float[Array, "..."]]
"""`(log_ratio, advantage, progress) -> drift`, elementwise and differentiable in `log_ratio`."""


class Drift(Rule):
    """A rule that maps meta-parameters to a drift function.

    A policy-gradient step with a drift `f` minimises

        -mean(r A - f(log r, A, n / N)),    r = pi_new(a | s) / pi_old(a | s).

    If for every advantage A (D1) f >= 0, (D2) f = 0 at r = 1 and (D3) df/dr = 0 at r = 1, then the exact step improves
    the policy monotonically and converges to an optimal one (mirror learning, Kuba et al. 2022, arXiv:2201.02373). All
    drifts here keep these conditions, for every `theta`.
    """

    kind: ClassVar[str] = "drift"

    @abc.abstractmethod
    def drift(self, theta: Any) -> DriftFunction:
        """The drift function that `theta` describes, usable alone in anybody's PPO.

        Args:
            theta: meta-parameters with the structure of `init`.

        Returns:
            An elementwise function of three arrays that broadcast together: `log_ratio`, the logarithm of the
            probability ratio of new and old policy; `advantage`, standardised over a batch as is usual; `progress`,
            the fraction of training that is over, in [0, 1], which drifts that do not vary in time ignore. The drift
            is non-negative, to be subtracted from `ratio * advantage`, and has the dtype of `log_ratio`.
        """
