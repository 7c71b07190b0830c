"""One whole lifetime, without an outer loop: to train a learner with a rule that is fixed, and to see its curve."""

from typing import Any, NamedTuple

import jax
from jaxtyping import Array, Float, Key

from heurax.inner.base import InnerLoop

__all__ = ["Lifetime", "train"]


class Lifetime(NamedTuple):
    """What a lifetime came to.

    Attributes:
        state: of the learner at its end.
        loss: of every step.
        metrics: of every step, by name.
        meta_loss: at its end.
    """

    state: Any
    loss: Float[Array, " steps"]
    metrics: dict[str, Float[Array, " steps"]]
    meta_loss: Float[Array, ""]


def train(inner: InnerLoop, theta: Any, key: Key[Array, ""]) -> Lifetime:
    """Live one lifetime from beginning to end.

    Pure, and written for one: jit it, and vmap it over keys (seeds) or over `theta`.

    Args:
        inner: the inner loop.
        theta: the meta-parameters of its rule; `inner.rule.init(key)` for a fixed one.
        key: a typed PRNG key.

    >>> from heurax.inner import InfluenceBalancing
    >>> inner = InfluenceBalancing(num_steps=3)
    >>> train(inner, inner.rule.init(jax.random.key(0)), jax.random.key(1)).loss.shape
    (3,)
    """
    key_init, key_steps, key_end = jax.random.split(key, 3)
    state, results = jax.lax.scan(
        lambda state, key: inner.step(theta, state, key),
        inner.init(theta, key_init),
        jax.random.split(key_steps, inner.num_steps),
    )
    return Lifetime(state, results.loss, results.metrics, inner.meta_loss(theta, state, key_end))
