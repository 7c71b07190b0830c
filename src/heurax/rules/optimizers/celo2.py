"""Celo2: a learned direction of unit scale; step size, schedule and weight decay stay the user's."""

import functools
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import adafactor, features, networks, tensors

__all__ = ["Celo2", "Celo2State", "orthogonalise"]

DECAYS = adafactor.Decays(second_moment=(0.95,))
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NUM_NEWTON_SCHULZ_STEPS = 5
ADAM_DECAYS = (0.9, 0.95)


class Celo2State(NamedTuple):
    """Accumulators of each parameter."""

    accumulators: Any


class _AdamState(NamedTuple):
    moments: Any


@dataclass(frozen=True)
class Celo2(LearnedOptimizer):
    """A per-parameter MLP 30-h-h-3 whose output is normalised to unit root mean square.

    The network reads gradient, parameter, momenta and Adafactor statistics, each normalised over the last two axes.
    Of its outputs only the direction `d` is used (the others are kept, so that `theta` has the published layout).
    Matrices are orthogonalised by five Newton-Schulz iterations if `orthogonalise`, every direction is divided by its
    root mean square over the last two axes, and

        delta = -learning_rate * (d + weight_decay * p).

    Only the direction is learned. `direction(theta)` is that part alone, for use as any optax `scale_by_*`:

        optax.chain(rule.direction(theta), optax.add_decayed_weights(0.1), optax.scale_by_learning_rate(schedule))

    `optimizer` is this chain with the constants below. It routes tensors whose path matches `route_paths`, and those
    with fewer than two axes if `route_vectors`, to Adam (decays .9 and .95, no bias correction) at
    `adam_multiplier` times the learning rate; `optax.partition` routes to anything else. The published `celo2` is
    `Celo2(route_vectors=False, route_paths="bias|embed")`, the published `celo2base` is
    `Celo2(orthogonalise=False, route_vectors=False, route_paths="")`.

    Source: arXiv:2602.19142 (`scale_by_celo2` and `Celo2` of amoudgl/celo, reproduced to float32 rounding). Gradients
    are clipped to [-1000, 1000] elementwise, those of Adam are not. `num_steps` and the loss are not used.
    On sharded parameters XLA may gather the matrices that are orthogonalised, as no other rule makes it do; a mesh
    with explicit axes does not allow it.

    Args:
        learning_rate: step size; > 0. The published sweep is 1e-5 to 1e-3.
        weight_decay: decoupled weight decay, multiplied by the learning rate; >= 0.
        orthogonalise: whether directions of matrices are orthogonalised.
        route_vectors: whether tensors with fewer than two axes go to Adam.
        route_paths: regular expression, searched in `/`-joined paths of tensors that go to Adam; empty for none.
        adam_multiplier: learning rate of Adam relative to `learning_rate`; > 0.
        hidden_size: width of both hidden layers; >= 1.

    >>> theta = Celo2().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    347
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    orthogonalise: bool = True
    route_vectors: bool = True
    route_paths: str = "embed"
    adam_multiplier: float = 20.0
    hidden_size: int = 8

    def __post_init__(self) -> None:
        for name in ("learning_rate", "adam_multiplier"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be >= 1, got {self.hidden_size}")
        try:
            re.compile(self.route_paths)
        except re.error as error:
            raise ValueError(f"route_paths must be a regular expression, got {self.route_paths!r}: {error}") from error

    @property
    def step_size(self) -> float:
        """The learning rate."""
        return self.learning_rate

    def init(self, key: Key[Array, ""]) -> dict[str, Array]:
        """Weights from a normal distribution truncated at two standard deviations, std 1/sqrt(fan_in); biases 0."""
        return networks.init_mlp(key, (adafactor.NUM_CHANNELS, self.hidden_size, self.hidden_size, 3))

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """Direction, weight decay and learning rate, with routing; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the direction depends on neither the step nor the horizon

        def with_rate(direction: optax.GradientTransformation, rate: float) -> optax.GradientTransformationExtraArgs:
            return optax.chain(
                direction, optax.add_decayed_weights(self.weight_decay), optax.scale_by_learning_rate(rate)
            )

        learned = with_rate(self.direction(theta), self.learning_rate)
        if not self.route_vectors and not self.route_paths:
            return learned
        adam = with_rate(_adam_direction(), self.learning_rate * self.adam_multiplier)
        return optax.with_extra_args_support(optax.partition({"learned": learned, "adam": adam}, self._labels))

    def direction(self, theta: Any) -> optax.GradientTransformationExtraArgs:
        """The learned direction alone, for all tensors: an ascent direction like those of optax's `scale_by_*`."""

        def init(params: optax.Params) -> Celo2State:
            return Celo2State(jax.tree.map(lambda p: adafactor.init_accumulators(p, DECAYS), params))

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, Celo2State]:
            del extra_args  # unused: this rule does not look at the loss
            if params is None:
                raise ValueError("Celo2 reads the parameters: call update(grads, state, params)")

            update_tensor = functools.partial(self._update_tensor, theta)
            directions, accumulators = tensors.update_tensors(update_tensor, params, updates, state.accumulators)
            return directions, Celo2State(accumulators)

        return optax.GradientTransformationExtraArgs(init, update)

    def _update_tensor(
        self,
        theta: Any,
        param: Float[Array, "*shape"],
        gradient: Float[Array, "*shape"],
        accumulators: adafactor.Accumulators,
    ) -> tuple[Float[Array, "*shape"], adafactor.Accumulators]:
        """One tensor's direction and new accumulators."""
        dtype = tensors.state_dtype(param)
        theta = tensors.cast(theta, dtype)
        g, p = features.clip_gradient(gradient.astype(dtype)), param.astype(dtype)
        accumulators = adafactor.update_accumulators(accumulators, g, DECAYS)
        channels = tuple(adafactor.CHANNELS) if p.ndim >= 2 else adafactor.VECTOR_CHANNELS
        num_channels = sum(adafactor.CHANNELS[name] for name in channels)
        layers = [
            (theta["w0"][:num_channels], theta["b0"]),
            (theta["w1"], theta["b1"]),
            (theta["w2"][:, :1], theta["b2"][:1]),
        ]
        (direction,) = networks.normalised_mlp(
            functools.partial(adafactor.tensor_channels, names=channels, epsilon=1e-8),
            adafactor.channel_inputs(g, p, accumulators),
            layers,
            epsilon=1e-9,
            per_matrix=True,
        )
        if self.orthogonalise and p.ndim >= 2:
            direction = orthogonalise(direction)
        return networks.normalise(direction[None], 1e-9)[0].astype(param.dtype), accumulators

    def _labels(self, params: Any) -> Any:
        """Who updates each tensor: `learned` or `adam`."""

        def label(path: Any, leaf: Array) -> str:
            by_path = bool(self.route_paths) and re.search(self.route_paths, tensors.path_name(path)) is not None
            return "adam" if by_path or (self.route_vectors and leaf.ndim < 2) else "learned"

        return jax.tree.map_with_path(label, params)


def orthogonalise(x: Float[Array, "*batch n m"]) -> Float[Array, "*batch n m"]:
    """Push the singular values of matrices towards 1: five Newton-Schulz iterations from `x / (|x| + 1e-8)`.

    Each is `x <- a x + (b A + c A^2) x` with `A = x x^T` on the shorter side; the coefficients are Muon's, which stop
    near 1 rather than at it.

    >>> singular_values = jnp.linalg.svd(orthogonalise(jnp.array([[3.0, 0.0], [4.0, 5.0]])), compute_uv=False)
    >>> bool(((singular_values > 0.6) & (singular_values < 1.3)).all())
    True
    """
    if x.shape[-2] > x.shape[-1]:
        return orthogonalise(x.mT).mT
    a, b, c = NEWTON_SCHULZ
    x = x / (jnp.sqrt(jnp.sum(jnp.square(x), axis=(-2, -1), keepdims=True)) + 1e-8)
    for _ in range(NUM_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def _adam_direction() -> optax.GradientTransformation:
    """`m / sqrt(v + 1e-8)` without bias correction."""

    def init(params: optax.Params) -> _AdamState:
        return _AdamState(jax.tree.map(lambda p: features.init_moments(p, 2), params))

    def update(updates: optax.Updates, state: Any, params: optax.Params | None = None) -> tuple[Any, _AdamState]:
        def update_tensor(like: Array, gradient: Array, moments: Array) -> tuple[Array, Array]:
            moments = features.decay_adam_moments(moments, gradient.astype(moments.dtype), *ADAM_DECAYS)
            return (moments[0] * jax.lax.rsqrt(moments[1] + 1e-8)).astype(like.dtype), moments

        like = updates if params is None else params
        directions, moments = tensors.update_tensors(update_tensor, like, updates, state.moments)
        return directions, _AdamState(moments)

    return optax.GradientTransformation(init, update)
