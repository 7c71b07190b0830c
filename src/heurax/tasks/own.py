"""A user's own problem as a task family: any functions, any data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.classification import check_at_least_one
from heurax.tasks.datasets import draw_indices

__all__ = ["OwnTask"]


@dataclass(frozen=True, eq=False)
class OwnTask(TaskFamily):
    """One problem out of two functions and the data.

    Two of them are equal only if they are one and the same object. They live in Python: no config can name one.

    Args:
        init_fn: from a typed key to initial parameters, such as `lambda key: model.init(key, x)`.
        loss_fn: from (parameters, batch) to the mean loss, a float32 scalar; pure.
        data: a tree of arrays with examples along the first axis, or a mapping of such trees from the names of the
            splits, `train`, `validation` and `test`; a split that is missing is `train`.
        batch_size: examples per step, drawn with replacement; >= 1.

    >>> task = OwnTask(lambda key: jnp.zeros(()), lambda w, x: jnp.mean((x - w) ** 2), jnp.array([1.0, 3.0]))
    >>> float(task.loss((), jnp.float32(2.0), task.evaluation_batch((), "train")))
    1.0
    """

    init_fn: Callable[[Key[Array, ""]], Any]
    loss_fn: Callable[[Any, Any], Float[Array, ""]]
    data: Any
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_at_least_one(self, "batch_size")
        lengths = {len(leaf) for leaf in jax.tree.leaves(self._examples("train"))}
        if len(lengths) != 1:
            raise ValueError(f"data must be arrays of the same length, got lengths {sorted(lengths)}")

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """Nothing: there is one problem."""
        del key  # unused: nothing is random here
        return ()

    def init(self, task: tuple[()], key: Key[Array, ""]) -> Any:
        """`init_fn`'s parameters."""
        del task  # unused: there is one problem
        return self.init_fn(key)

    def batch(self, task: tuple[()], key: Key[Array, ""], split: Split = "train") -> Any:
        """Examples, drawn with replacement."""
        del task  # unused: there is one problem
        examples = self._examples(split)
        index = draw_indices(key, self.batch_size, len(jax.tree.leaves(examples)[0]))
        return jax.tree.map(lambda x: jnp.asarray(x)[index], examples)

    def evaluation_batch(self, task: tuple[()], split: Split) -> Any:
        """The whole split."""
        del task  # unused: there is one problem
        return jax.tree.map(jnp.asarray, self._examples(split))

    def loss(self, task: tuple[()], params: Any, batch: Any) -> Float[Array, ""]:
        """`loss_fn`'s."""
        del task  # unused: there is one problem
        return self.loss_fn(params, batch)

    def _examples(self, split: Split) -> Any:
        if isinstance(self.data, Mapping) and "train" in self.data:
            return self.data.get(split, self.data["train"])
        return self.data
