"""Supervised problems a lifetime trains on: a task family is a distribution over problems."""

import abc
from collections.abc import Callable
from typing import Any, Literal

import jax
from jaxtyping import Array, Float, Key

__all__ = ["Differentiate", "Split", "TaskFamily", "value_and_grad"]

Split = Literal["train", "validation", "test"]

Differentiate = Callable[[Callable[[Any, Any], Array], Any, Any], tuple[Array, Any]]
"""`(loss_fn, params, inputs)` to the loss `loss_fn(params, inputs)` and its gradient with respect to `params`."""


def value_and_grad(
    loss_fn: Callable[[Any, Any], Float[Array, ""]], params: Any, inputs: Any
) -> tuple[Float[Array, ""], Any]:
    """`jax.value_and_grad(loss_fn)(params, inputs)`: the plain way to differentiate a task's loss."""
    return jax.value_and_grad(loss_fn)(params, inputs)


class TaskFamily(abc.ABC):
    """A distribution over supervised problems of one static shape.

    A family is a frozen dataclass. Sampling it gives a *task*: a pytree of arrays that says which problem this is
    (sizes, activations, scales; never data). All functions are pure, written for one task and safe under `jit` and
    `vmap`; data that a family needs lives on the device.
    """

    batch_size: int | None = None
    """Examples in a training batch, along the first axis of every leaf of it; None if it is not made of examples."""

    @property
    def num_labels(self) -> int | None:
        """Classes, where a batch is `(inputs, labels)` with integer labels `[batch]`; None for other families."""
        return None

    @property
    def has_labels(self) -> bool:
        """Whether there are such classes; a family that counts them in its data can say so without loading it."""
        return self.num_labels is not None

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

    def init_memory(self, task: Any, params: Any, key: Key[Array, ""]) -> Any:
        """What `loss_and_gradient` remembers from step to step, at the first: nothing, but for some augmentations."""
        del task, params, key  # unused: there is nothing to remember
        return ()

    def loss_and_gradient(
        self, task: Any, params: Any, batch: Any, memory: Any, differentiate: Differentiate = value_and_grad
    ) -> tuple[Float[Array, ""], Any, Any]:
        """The loss of a batch and what an optimizer is shown as its gradient.

        That is the gradient, but for augmentations that stand between the two (`heurax.tasks.augmentation`). They are
        here, not in `loss`, so that the loss stays the problem's own function, for evaluation and for meta-gradients.

        Args:
            task: of `sample`.
            params: inner parameters.
            batch: of `batch`.
            memory: of `init_memory`, or of the step before.
            differentiate: how to take a loss function's gradient.

        Returns:
            The loss, the gradient (like `params`), and the memory for the next step (like `memory`).
        """
        loss, gradient = differentiate(lambda p, inputs: self.loss(inputs[0], p, inputs[1]), params, (task, batch))
        return loss, gradient, memory
