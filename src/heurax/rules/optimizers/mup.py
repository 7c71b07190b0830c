"""MuP: any learned optimizer under the maximal-update parametrisation, so that it carries over to wider networks.

A learned optimizer with normalised features makes updates of the same size in every layer, whatever its width. In a
wide network the sum over `fan_in` inputs then moves the pre-activations of hidden layers in proportion to the width.
Dividing the updates of hidden matrices by `fan_in` undoes this (muLO, arXiv:2406.00153).
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import optax
from jaxtyping import Array, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import tensors
from heurax.rules.optimizers.adafac_mlp import AdafacMLP

__all__ = ["TENSOR_CLASSES", "MuP", "base_shapes"]

TENSOR_CLASSES = ("input", "hidden", "output", "vector")
"""Which axes of a tensor grow with the width: outputs only, both, inputs only, or it is no matrix."""


@dataclass(frozen=True)
class MuP(LearnedOptimizer):
    """A learned optimizer whose updates are scaled by tensor class.

    | class | example | updates times |
    |---|---|---|
    | `input` | first layer, embedding | 1 |
    | `hidden` | matrix between hidden layers | `hidden_mult / fan_in` |
    | `output` | last layer | 1, or `1 / fan_in` if `scale_output` |
    | `vector` | bias, norm, scalar | 1 |

    `fan_in` is the product of all axes but the last: kernels are `[..., inputs, outputs]`. Where `base_shapes` has a
    tensor, its `fan_in` counts relative to that at base width, so that nothing changes at base width.

    The class of a tensor is that of the first pattern in `classes` which its path contains. Failing this, tensors with
    fewer than two axes are vectors, and the axes in which a matrix differs from its base shape decide. A matrix
    of which neither knows is an error.

    muLO is `MuP()` with the classes of your network, and no option of its own: gradients that are not finite
    are replaced with `optax.chain(optax.zero_nans(), ...)`, and clipped with `optax.clip_by_global_norm(1.0)`, before
    it. muP also asks the network for initial weights of variance 1/fan_in and for a factor `1 / fan_in` after
    the output layer; without this factor, set `scale_output`.

    Source: arXiv:2406.00153 (`MuAdafacMLPLOpt` and `MuHyperV2` of bentherien/mu_learned_optimization, reproduced to
    float32 rounding). There every model declares its multipliers; here they follow from classes and shapes.

    Args:
        rule: the optimizer whose updates are scaled; `theta` is that rule's.
        classes: from a regular expression, searched in `/`-joined paths, to one of `TENSOR_CLASSES`.
        base_shapes: from paths to shapes at base width; see the function of this name.
        hidden_mult: factor on updates of hidden matrices; > 0.
        scale_output: whether updates of output layers are divided by `fan_in` too.

    >>> rule = MuP(classes={"embed": "input", "head": "output", "kernel": "hidden"})
    >>> rule.multipliers({"embed": jax.numpy.ones((9, 4)), "mid": {"kernel": jax.numpy.ones((4, 4))}})
    {'embed': 1.0, 'mid': {'kernel': 0.25}}
    """

    rule: LearnedOptimizer = AdafacMLP(hidden_size=32, step_mult=0.01)
    classes: dict[str, str] = field(default_factory=dict, hash=False)
    base_shapes: dict[str, Sequence[int]] = field(default_factory=dict, hash=False)
    hidden_mult: float = 1.0
    scale_output: bool = False

    def __post_init__(self) -> None:
        for pattern, name in self.classes.items():
            if name not in TENSOR_CLASSES:
                raise ValueError(f"classes[{pattern!r}] must be one of {', '.join(TENSOR_CLASSES)}, got {name!r}")
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"classes must have regular expressions, got {pattern!r}: {error}") from error
        if not self.hidden_mult > 0:
            raise ValueError(f"hidden_mult must be > 0, got {self.hidden_mult}")

    def init(self, key: Key[Array, ""]) -> Any:
        """Fresh meta-parameters of the scaled rule."""
        return self.rule.init(key)

    def complete(self, theta: Any) -> Any:
        """Those of the scaled rule."""
        return self.rule.complete(theta)

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The rule's transformation, its updates scaled; see `LearnedOptimizer.optimizer`."""

        def scale(updates: optax.Updates, params: optax.Params | None) -> optax.Updates:
            del params  # unused: classes follow from paths and shapes, which the updates share
            return jax.tree.map(lambda u, multiplier: u * multiplier, updates, self.multipliers(updates))

        return optax.with_extra_args_support(optax.chain(self.rule.optimizer(theta, num_steps), optax.stateless(scale)))

    def multipliers(self, params: Any) -> Any:
        """The factor on the updates of each tensor.

        Args:
            params: a tree of arrays, or of anything with their shapes.

        Raises:
            ValueError: the class of a matrix is not known, or it has another rank than its base shape.
        """
        return jax.tree.map_with_path(lambda path, leaf: self._multiplier(tensors.path_name(path), leaf.shape), params)

    def _multiplier(self, path: str, shape: tuple[int, ...]) -> float:
        base = self.base_shapes.get(path)
        if base is not None and len(base) != len(shape):
            raise ValueError(f"base_shapes[{path!r}] must have the rank of {list(shape)}, got {list(base)}")
        tensor_class = self._tensor_class(path, shape, base)
        fan_in = math.prod(shape[:-1]) / (1 if base is None else math.prod(base[:-1]))
        if tensor_class == "hidden":
            return self.hidden_mult / fan_in
        return 1 / fan_in if tensor_class == "output" and self.scale_output else 1.0

    def _tensor_class(self, path: str, shape: tuple[int, ...], base: Sequence[int] | None) -> str:
        for pattern, tensor_class in self.classes.items():
            if re.search(pattern, path):
                return tensor_class
        if len(shape) < 2:
            return "vector"
        if base is None:
            raise ValueError(
                f"MuP knows no class for {path!r} of shape {list(shape)}: give it one of {', '.join(TENSOR_CLASSES)} "
                "in classes, or its shape at base width in base_shapes"
            )
        wide_input, wide_output = tuple(shape[:-1]) != tuple(base[:-1]), shape[-1] != base[-1]
        return {(True, True): "hidden", (True, False): "output", (False, True): "input"}.get(
            (wide_input, wide_output), "vector"
        )


def base_shapes(params: Any) -> Mapping[str, tuple[int, ...]]:
    """Shapes by path of a network at base width, as `MuP` takes them.

    >>> base_shapes({"dense": {"kernel": jax.numpy.ones((2, 3))}})
    {'dense/kernel': (2, 3)}
    """
    leaves = jax.tree.leaves_with_path(params)
    return {tensors.path_name(path): tuple(leaf.shape) for path, leaf in leaves}
