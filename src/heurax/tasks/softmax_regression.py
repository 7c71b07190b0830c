"""Softmax (with two classes: logistic) regression: convex, with a sampled conditioning."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.tasks.classification import Classification, check_at_least_one, check_dataset
from heurax.tasks.datasets import DataSource

__all__ = ["SoftmaxRegression", "SoftmaxRegressionTask"]


class SoftmaxRegressionTask(NamedTuple):
    """One regression: what each feature is multiplied by."""

    feature_scale: Float[Array, " features"]


@dataclass(frozen=True)
class SoftmaxRegression(Classification):
    """Classify by `softmax(W^T (s * x) + b)`; the loss is the mean cross-entropy in nats.

    The scales s of the features are drawn log-uniformly: the wider their range, the worse conditioned the problem. On a
    data set of two classes this is logistic regression, with one weight vector more than it needs.

    Args:
        dataset: a name in `heurax.tasks.DATASETS`, files, or a stream of them.
        feature_scale: a range (low, high), both included; low > 0.
        batch_size: training examples per step, drawn with replacement; >= 1.

    >>> family = SoftmaxRegression("breast_cancer")
    >>> family.init(family.sample(jax.random.key(0)), jax.random.key(1))["kernel"].shape
    (30, 2)
    """

    dataset: str | DataSource = "digits"
    feature_scale: tuple[float, float] = (1.0, 1.0)
    batch_size: int = 128

    def __post_init__(self) -> None:
        check_dataset(self.dataset)
        check_at_least_one(self, "batch_size")
        low, high = self.feature_scale
        if not 0 < low <= high:
            raise ValueError(f"feature_scale must be a range (low, high) with 0 < low <= high, got {(low, high)}")

    def sample(self, key: Key[Array, ""]) -> SoftmaxRegressionTask:
        """Draw the features' scales."""
        low, high = map(math.log, self.feature_scale)
        exponent = jax.random.uniform(key, (self.data.num_features,), minval=low, maxval=high)
        return SoftmaxRegressionTask(jnp.exp(exponent))

    def init(self, task: SoftmaxRegressionTask, key: Key[Array, ""]) -> dict[str, Array]:
        """Kernel N(0, 1/features), zero bias."""
        del task  # unused: the start does not depend on the problem
        kernel = jax.random.normal(key, (self.data.num_features, self.data.num_classes))
        return {
            "kernel": kernel / math.sqrt(self.data.num_features),
            "bias": jnp.zeros((self.data.num_classes,), jnp.float32),
        }

    def logits(self, task: SoftmaxRegressionTask, params: Any, inputs: Float[Array, "batch features"]) -> Array:
        """What the model says of inputs."""
        return (inputs * task.feature_scale[None]) @ params["kernel"] + params["bias"][None]
