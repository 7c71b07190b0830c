"""Prioritised level replay: a buffer of levels, and how often each of them is played again."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, Key

__all__ = ["LevelBuffer", "LevelReplay"]

EMPTY = -1
"""The number of a slot without a level."""


@struct.dataclass
class LevelBuffer:
    """Levels with their scores; every leaf has a leading axis of slots, but `num_drawn`.

    Its fields are not typed as arrays, because trees of shapes and of shardings have this form as well.

    Attributes:
        level: the levels.
        number: `i32`, by which a level is known; -1 where a slot is empty.
        score: `f32`, the last of each level.
        drawn_at: `i32`, what `num_drawn` was when the level was last drawn or scored.
        num_drawn: `i32[]`, levels drawn so far, from the buffer or not.
    """

    level: Any
    number: Any
    score: Any
    drawn_at: Any
    num_drawn: Any


@dataclass(frozen=True)
class LevelReplay:
    """Prioritised level replay, by ranks.

    With S_i the score of the level in slot i, C_i when it was last drawn, and c the number of draws so far,

        P_i = (1 - staleness) P^S_i + staleness P^C_i,
        P^S_i ~ (1 / rank(S_i))^(1 / temperature),    P^C_i ~ c - C_i,

    where the highest score has rank 1, and of equal ones the lower slot comes first. A level is drawn from the buffer
    with `replay_probability`, and otherwise made anew. A level that is scored keeps its slot, where it has one; or else
    takes an empty slot, or that of the lowest score if its own is higher.

    All functions are pure and fit for `jit`.

    Sources: Jiang et al. 2021, arXiv:2010.03934; the defaults, but for the staleness, from GROOVE, Jackson et al. 2023,
    arXiv:2310.02782. Departures: levels are replayed as soon as one has a score; staleness plays no part in what is
    thrown out.

    Args:
        size: slots; >= 1.
        replay_probability: in [0, 1].
        temperature: of the ranks; > 0. Low ones replay the levels of the highest scores alone.
        staleness: weight of levels that were not drawn for long, in [0, 1].

    >>> replay = LevelReplay(size=2)
    >>> buffer = replay.init(jnp.zeros([]))
    >>> buffer = replay.insert(buffer, jnp.float32(5.0), jnp.int32(7), jnp.float32(0.3))
    >>> replay.probabilities(buffer).tolist()
    [1.0, 0.0]
    """

    size: int = 4000
    replay_probability: float = 0.5
    temperature: float = 1.0
    staleness: float = 0.1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be >= 1, got {self.size}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        for name in ("replay_probability", "staleness"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")

    def init(self, example: Any) -> LevelBuffer:
        """An empty buffer for levels like `example`, of which only shapes and dtypes count."""
        return LevelBuffer(
            level=jax.tree.map(lambda x: jnp.zeros((self.size, *x.shape), x.dtype), example),
            number=jnp.full((self.size,), EMPTY, jnp.int32),
            score=jnp.zeros((self.size,), jnp.float32),
            drawn_at=jnp.zeros((self.size,), jnp.int32),
            num_drawn=jnp.zeros([], jnp.int32),
        )

    def probabilities(self, buffer: LevelBuffer) -> Float[Array, " size"]:
        """Of each slot, where a level is replayed; all 0 where the buffer is empty."""
        filled = buffer.number >= 0
        order = jnp.argsort(jnp.where(filled, -buffer.score, jnp.inf), stable=True)
        rank = jnp.argsort(order, stable=True) + 1  # the inverse of the order
        by_score = _shares(rank.astype(jnp.float32) ** (-1 / self.temperature), filled)
        age = (buffer.num_drawn - buffer.drawn_at).astype(jnp.float32)
        by_age = jnp.where(jnp.any(filled & (age > 0)), _shares(age, filled), by_score)
        return (1 - self.staleness) * by_score + self.staleness * by_age

    def draw(self, buffer: LevelBuffer, key: Key[Array, ""]) -> tuple[Bool[Array, ""], Int[Array, ""]]:
        """Whether a level is replayed, and the slot of that which is."""
        key_whether, key_slot = jax.random.split(key)
        slot = jax.random.categorical(key_slot, jnp.log(self.probabilities(buffer)))
        chance = jax.random.uniform(key_whether)
        return (chance < self.replay_probability) & jnp.any(buffer.number >= 0), slot.astype(jnp.int32)

    def mark(
        self,
        buffer: LevelBuffer,
        slot: Int[Array, " draws"],
        replayed: Bool[Array, " draws"],
        drawn: Bool[Array, " draws"],
    ) -> LevelBuffer:
        """Take note of draws: those made (`drawn`) are counted, and of them those `replayed` date their slots."""
        num_drawn = buffer.num_drawn + jnp.sum(drawn, dtype=jnp.int32)
        beyond = jnp.where(drawn & replayed, slot, self.size)  # out of bounds: dropped
        return dataclasses.replace(
            buffer, num_drawn=num_drawn, drawn_at=buffer.drawn_at.at[beyond].set(num_drawn, mode="drop")
        )

    def insert(self, buffer: LevelBuffer, level: Any, number: Int[Array, ""], score: Float[Array, ""]) -> LevelBuffer:
        """Keep a level that was scored, as the class says; a score that is not finite changes nothing."""
        known = buffer.number == number
        empty = buffer.number < 0
        weakest = jnp.argmin(jnp.where(empty, -jnp.inf, buffer.score))
        slot = jnp.where(jnp.any(known), jnp.argmax(known), weakest)
        better = jnp.any(known) | empty[weakest] | (score > buffer.score[weakest])
        slot = jnp.where(better & jnp.isfinite(score), slot, self.size)  # out of bounds: dropped
        return dataclasses.replace(
            buffer,
            level=jax.tree.map(lambda x, new: x.at[slot].set(new, mode="drop"), buffer.level, level),
            number=buffer.number.at[slot].set(number, mode="drop"),
            score=buffer.score.at[slot].set(score, mode="drop"),
            drawn_at=buffer.drawn_at.at[slot].set(buffer.num_drawn, mode="drop"),
        )


def _shares(weight: Float[Array, " size"], filled: Bool[Array, " size"]) -> Float[Array, " size"]:
    weight = jnp.where(filled, weight, 0.0)
    total = jnp.sum(weight)
    return weight / jnp.where(total > 0, total, 1.0)
