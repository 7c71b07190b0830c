"""Prioritised level replay against a short NumPy version of its equations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.outer import LevelReplay


class Reference:
    """The same in NumPy, slot by slot."""

    def __init__(self, replay):
        self.replay, self.slots, self.num_drawn = replay, [None] * replay.size, 0

    def insert(self, level, number, score):
        if not np.isfinite(score):
            return
        numbers = [slot and slot["number"] for slot in self.slots]
        empty = [i for i, slot in enumerate(self.slots) if slot is None]
        if number in numbers:
            i = numbers.index(number)
        elif empty:
            i = empty[0]
        else:
            i = int(np.argmin([slot["score"] for slot in self.slots]))
            if score <= self.slots[i]["score"]:
                return
        self.slots[i] = {"level": level, "number": number, "score": score, "drawn_at": self.num_drawn}

    def mark(self, slots, replayed, drawn):
        self.num_drawn += sum(drawn)
        for slot, was_replayed, was_drawn in zip(slots, replayed, drawn, strict=True):
            if was_replayed and was_drawn:
                self.slots[slot]["drawn_at"] = self.num_drawn

    def probabilities(self):
        filled = [i for i, slot in enumerate(self.slots) if slot is not None]
        by_score, by_age = np.zeros(self.replay.size), np.zeros(self.replay.size)
        for rank, i in enumerate(sorted(filled, key=lambda i: -self.slots[i]["score"])):
            by_score[i] = (1 / (rank + 1)) ** (1 / self.replay.temperature)
        for i in filled:
            by_age[i] = self.num_drawn - self.slots[i]["drawn_at"]
        by_score /= max(by_score.sum(), 1e-30)
        by_age = by_age / by_age.sum() if by_age.sum() > 0 else by_score
        return (1 - self.replay.staleness) * by_score + self.replay.staleness * by_age


@pytest.mark.parametrize(("temperature", "staleness"), [(1.0, 0.0), (0.3, 0.4)])
def test_equals_the_reference(temperature, staleness):
    """Levels that are scored, forgotten, scored again and drawn, in a random order."""
    replay = LevelReplay(size=5, temperature=temperature, staleness=staleness)
    insert, mark, probabilities = jax.jit(replay.insert), jax.jit(replay.mark), jax.jit(replay.probabilities)
    buffer, reference = replay.init({"map": jnp.zeros((2,))}), Reference(replay)
    random = np.random.default_rng(0)
    for i in range(40):
        number, score = int(random.integers(0, 12)), float(np.float32(random.choice([random.normal(), 0.0, np.nan])))
        level = np.float32([number, i])
        buffer = insert(buffer, {"map": jnp.asarray(level)}, jnp.int32(number), jnp.float32(score))
        reference.insert(level, number, score)
        filled = [i for i, slot in enumerate(reference.slots) if slot is not None]
        if filled:
            slots, replayed, drawn = random.choice(filled, 3), random.random(3) < 0.5, random.random(3) < 0.7
            buffer = mark(buffer, jnp.asarray(slots, jnp.int32), jnp.asarray(replayed), jnp.asarray(drawn))
            reference.mark(slots, replayed, drawn)
        assert int(buffer.num_drawn) == reference.num_drawn
        for name, empty in (("number", -1), ("score", 0.0), ("drawn_at", 0)):
            expected = [empty if slot is None else slot[name] for slot in reference.slots]
            np.testing.assert_array_equal(getattr(buffer, name), expected)
        maps = [[0, 0] if slot is None else slot["level"] for slot in reference.slots]
        np.testing.assert_array_equal(buffer.level["map"], np.float32(maps))
        np.testing.assert_allclose(probabilities(buffer), reference.probabilities(), rtol=1e-5, atol=1e-7)


def test_draws_have_these_probabilities():
    replay = LevelReplay(size=4, replay_probability=0.25)
    empty = replay.init(jnp.zeros([]))
    draw = jax.jit(
        lambda buffer: jax.vmap(functools.partial(replay.draw, buffer))(jax.random.split(jax.random.key(0), 4000))
    )
    assert not np.any(draw(empty)[0]), "there is nothing to replay"
    assert not np.any(replay.probabilities(empty))
    buffer = empty
    for number, score in ((3, 1.0), (4, 3.0), (5, 2.0)):
        buffer = replay.insert(buffer, jnp.float32(0), jnp.int32(number), jnp.float32(score))
    replayed, slot = draw(buffer)
    assert np.mean(replayed) == pytest.approx(0.25, abs=0.03)
    shares = np.bincount(slot, minlength=4) / slot.size
    np.testing.assert_allclose(shares, np.array([1 / 3, 1, 1 / 2, 0]) / (11 / 6), atol=0.03)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 0}, "size must be >= 1, got 0"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0.0"),
        ({"replay_probability": 1.5}, r"replay_probability must be in \[0, 1\], got 1.5"),
        ({"staleness": -0.1}, r"staleness must be in \[0, 1\], got -0.1"),
    ],
)
def test_bad_values_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        LevelReplay(**changes)
