"""What all families of flax networks have in common: how an instance varies within one static shape."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax import random
from heurax.tasks.activations import activate, check_activations
from heurax.tasks.base import TaskFamily
from heurax.tasks.classification import Classification, check_at_least_one, check_dataset
from heurax.tasks.datasets.data import ClassificationData

__all__ = ["Activate", "NetworkClassifier", "NetworkFamily", "NetworkTask", "check_images"]

Activate = Callable[[Array], Array]
"""A network calls it between two layers, on hidden units along the last axis."""


class NetworkTask(NamedTuple):
    """One network: index of the activation, fraction of hidden units in use, factor of the initial kernels."""

    activation: Int[Array, ""]
    used: Float[Array, ""]
    init_scale: Float[Array, ""]


class NetworkFamily(TaskFamily):
    """A family whose models are flax modules of one static shape.

    Instances differ in their activation, in how many of their hidden units are in use (the others are masked out: they
    get no gradient) and in the scale of their initial kernels; kernels are initialised for the full width. Static
    shapes are drawn outside, by `heurax.tasks.sample_family`. Modules are called with their input and an `Activate`.

    Subclasses are frozen dataclasses with these fields; `width_fraction` and `init_scale` are ranges, both ends
    included, from which instances are drawn log-uniformly.
    """

    activations: tuple[str, ...]
    width_fraction: tuple[float, float]
    init_scale: tuple[float, float]

    @property
    @abc.abstractmethod
    def module(self) -> nn.Module:
        """The network."""

    @property
    @abc.abstractmethod
    def example(self) -> Any:
        """An input of it, of any values, for its shapes."""

    def sample(self, key: Key[Array, ""]) -> NetworkTask:
        """Draw activation (uniform), width and initial scale (log-uniform)."""
        key_activation, key_width, key_scale = jax.random.split(key, 3)
        return NetworkTask(
            activation=random.integer(key_activation, 0, len(self.activations) - 1),
            used=random.log_uniform(key_width, *self.width_fraction),
            init_scale=random.log_uniform(key_scale, *self.init_scale),
        )

    def init(self, task: NetworkTask, key: Key[Array, ""]) -> Any:
        """Flax's initial parameters; arrays of two axes or more are multiplied by the task's scale."""
        params = self.module.init(key, self.example, self._activate(task))["params"]
        if self.init_scale == (1.0, 1.0):
            return params
        return jax.tree.map(lambda p: p * task.init_scale if p.ndim >= 2 else p, params)

    def apply(self, task: NetworkTask, params: Any, inputs: Any, **options: Any) -> Any:
        """The network's output. Flax mixes dtypes on purpose: norms and memories stay float32 in bfloat16."""
        with jax.numpy_dtype_promotion("standard"):
            return self.module.apply({"params": params}, inputs, self._activate(task), **options)

    def check_variation(self) -> None:
        """Raise ValueError for ranges and names that make no sense; for `__post_init__`."""
        check_activations(self.activations)
        if not 0 < self.width_fraction[0] <= self.width_fraction[1] <= 1:
            raise ValueError(
                f"width_fraction must be a range (low, high) with 0 < low <= high <= 1, got {self.width_fraction}"
            )
        if not 0 < self.init_scale[0] <= self.init_scale[1]:
            raise ValueError(f"init_scale must be a range (low, high) with 0 < low <= high, got {self.init_scale}")

    def _activate(self, task: NetworkTask) -> Activate:
        def apply(x: Array) -> Array:
            hidden = activate(self.activations, task.activation, x)
            if self.width_fraction == (1.0, 1.0):
                return hidden
            units = x.shape[-1]
            num_used = jnp.maximum(jnp.round(units * task.used), 1).astype(jnp.int32)
            mask = (jnp.arange(units) < num_used).reshape((1,) * (x.ndim - 1) + (units,))
            return jnp.where(mask, hidden, 0)

        return apply


class NetworkClassifier(NetworkFamily, Classification):
    """A family of networks that classify images, which they see as `[batch, height, width, channels]`."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Of the data set."""
        return check_images(self.data)

    @property
    def example(self) -> Float[Array, "1 height width channels"]:
        """A black image."""
        return jnp.zeros((1, *self.image_shape), jnp.float32)

    def logits(self, task: NetworkTask, params: Any, inputs: Float[Array, "batch features"]) -> Array:
        """What the network says of images."""
        return self.apply(task, params, inputs.reshape(-1, *self.image_shape))

    def check(self, *at_least_one: str) -> None:
        """Raise ValueError for fields that make no sense; for `__post_init__`."""
        check_dataset(self.dataset)
        check_at_least_one(self, "batch_size", *at_least_one)
        self.check_variation()


def check_images(data: ClassificationData) -> tuple[int, int, int]:
    """The shape of a data set's images.

    Raises:
        ValueError: they are no images.
    """
    if data.image_shape is None:
        raise ValueError("dataset must be one of images for this family, and its examples are rows of a table")
    return data.image_shape
