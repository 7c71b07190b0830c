"""What all families of language models have in common: text as characters, the next one predicted."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.tasks.base import Split
from heurax.tasks.classification import check_at_least_one
from heurax.tasks.datasets import ALPHABET, TEXTS, draw_indices
from heurax.tasks.network import NetworkFamily, NetworkTask

__all__ = ["NUM_CHARACTERS", "LanguageModel"]

NUM_CHARACTERS = len(ALPHABET)
"""What inputs and outputs range over."""

NUM_EVALUATION = 32


class LanguageModel(NetworkFamily):
    """A family of networks that predict the next character; the loss is the mean cross-entropy in nats per character.

    Batches are `[batch, length + 1]` characters: all but the last are the input, all but the first the targets.
    Subclasses are frozen dataclasses with the fields `text`, `length` and `batch_size`.
    """

    text: str
    length: int
    batch_size: int

    @property
    def example(self) -> Int[Array, "1 length"]:
        """Line feeds."""
        return jnp.zeros((1, self.length), jnp.int32)

    def batch(self, task: NetworkTask, key: Key[Array, ""], split: Split = "train") -> Int[Array, "batch characters"]:
        """Pieces of the text that begin anywhere."""
        del task  # unused: all tasks of the family share the text
        tokens = TEXTS[self.text]().tokens[split]
        starts = draw_indices(key, self.batch_size, len(tokens) - self.length)
        return self._pieces(split, starts)

    def evaluation_batch(self, task: NetworkTask, split: Split) -> Int[Array, "batch characters"]:
        """32 pieces, evenly spread over the text."""
        del task  # unused: as in `batch`
        last = len(TEXTS[self.text]().tokens[split]) - self.length - 1
        return self._pieces(split, jnp.arange(NUM_EVALUATION) * (last // (NUM_EVALUATION - 1)))

    def loss(self, task: NetworkTask, params: Any, batch: Int[Array, "batch characters"]) -> Float[Array, ""]:
        """Mean cross-entropy per character."""
        logits = self.apply(task, params, batch[:, :-1])
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, batch[:, 1:]))

    def divergence(
        self, task: NetworkTask, target: Any, params: Any, batch: Int[Array, "batch characters"]
    ) -> Float[Array, ""]:
        """Mean of `KL(the target's prediction || the model's)` per character."""
        ours, theirs = (jax.nn.log_softmax(self.apply(task, p, batch[:, :-1])) for p in (params, target))
        return jnp.mean(optax.losses.kl_divergence_with_log_targets(ours, theirs))

    def check(self, *at_least_one: str) -> None:
        """Raise ValueError for fields that make no sense; for `__post_init__`."""
        if self.text not in TEXTS:
            raise ValueError(f"text must be one of {', '.join(TEXTS)}, got {self.text!r}")
        check_at_least_one(self, "length", "batch_size", *at_least_one)
        self.check_variation()

    def _pieces(self, split: Split, starts: Int[Array, " batch"]) -> Int[Array, "batch characters"]:
        tokens = jnp.asarray(TEXTS[self.text]().tokens[split])
        return tokens[starts[:, None] + jnp.arange(self.length + 1)[None]].astype(jnp.int32)
