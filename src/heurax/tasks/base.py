"""Supervised problems a lifetime trains on: a task family is a distribution over problems."""

import abc
from typing import Any, Literal

from jaxtyping import Array, Float, Key

__all__ = ["Split", "TaskFamily"]

Split = Literal["train", "validation", "test"]


class TaskFamily(abc.ABC):
    """A distribution over supervised problems of one static shape.

    A family is a frozen dataclass. Sampling it gives a *task*: a pytree of arrays that says which problem this is
    (sizes, activations, scales; never data). All functions are pure, written for one task and safe under `jit` and
    `vmap`; data that a family needs lives on the device.
    """

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""]) -> Any:
        """Draw a problem: a pytree of arrays, empty if all problems of the family are the same."""

    @abc.abstractmethod
    def init(self, task: Any, key: Key[Array, ""]) -> Any:
        """Draw initial inner parameters, a pytree of arrays whose shapes do not depend on the task."""

    @abc.abstractmethod
    def batch(self, task: Any, key: Key[Array, ""], split: Split = "train") -> Any:
        """Draw a batch from a split of the data."""

    @abc.abstractmethod
    def evaluation_batch(self, task: Any, split: Split) -> Any:
        """A fixed batch on which a loss means the same every time: the whole split, where it is small."""

    @abc.abstractmethod
    def loss(self, task: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """The mean loss of a batch; float32, to be minimised."""

    def divergence(self, task: Any, target: Any, params: Any, batch: Any) -> Float[Array, ""]:
        """How far the model with `params` is from the model with `target`, in what they say of a batch.

        The Kullback-Leibler divergence `KL(p_target || p_params)` of their predictive distributions, those of which the
        loss is a negative log-likelihood, averaged over the batch; in nats, >= 0.

        Raises:
            ValueError: the family's models predict no distribution.
        """
        del task, target, params, batch  # unused: a family that has a divergence overrides this
        raise ValueError(f"the models of {type(self).__name__} predict no distribution whose divergence could be taken")
