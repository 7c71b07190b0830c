"""Whose turn it is: a schedule that follows from weights alone, in which none starves."""

import functools
import math
from collections.abc import Sequence

import numpy as np

__all__ = ["turns"]


def turns(weights: Sequence[float], num_turns: int) -> np.ndarray:
    """Divide turns in proportion to weights, each turn by all that came before it.

    Turn j of k is due at `j / weight_k`, and turns are taken as they fall due; of those that are due at once, the first
    in order. After any number n of turns, k has had at least `floor(n weight_k / sum(weights))` of them, and equal
    weights make a round. Source: the divisor method of D'Hondt and Jefferson, which keeps the lower quota (Balinski and
    Young 1982, "Fair Representation").

    Args:
        weights: each > 0.
        num_turns: >= 0.

    Returns:
        Whose turn each is, int32 `[num_turns]`; shorter schedules are beginnings of longer ones.

    >>> turns((2.0, 1.0), 6).tolist()
    [0, 0, 1, 0, 0, 1]
    """
    return _turns(tuple(weights), num_turns)


@functools.cache
def _turns(weights: tuple[float, ...], num_turns: int) -> np.ndarray:
    total = sum(weights)
    counts = [min(math.ceil(num_turns * weight / total) + len(weights), num_turns) for weight in weights]
    due = np.concatenate([np.arange(1, n + 1) / weight for n, weight in zip(counts, weights, strict=True)])
    who = np.repeat(np.arange(len(weights), dtype=np.int32), counts)
    schedule = who[np.argsort(due, kind="stable")[:num_turns]]
    schedule.flags.writeable = False
    return schedule
