"""AdafacMLP: a tiny network over momenta and Adafactor statistics (the `small_fc_lopt` of Metz et al. 2022)."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import adafactor, features, networks, tensors

__all__ = ["AdafacMLP", "AdafacMLPState"]

DECAYS = adafactor.Decays()
CHANNELS = tuple(name for name in adafactor.CHANNELS if name not in ("clipped_gradient", "scaled_gradient"))
NUM_TENSOR_FEATURES = 28
NUM_STEP_FEATURES = 11


class AdafacMLPState(NamedTuple):
    """Number of updates, and accumulators of each parameter."""

    count: Int[Array, ""]
    accumulators: Any


@dataclass(frozen=True)
class AdafacMLP(LearnedOptimizer):
    """A per-parameter MLP 39-h-h-2 on gradient, parameter, momenta and factored second moments.

    28 features of each element (gradient, parameter, three momenta, second moment and Adafactor statistics), each
    divided by its root mean square over the tensor, and 11 features of the step count enter a ReLU network with two
    hidden layers. Its two outputs, a direction `d` and a magnitude `m`, make the update

        delta = -step_mult * d * exp(exp_mult * m).

    The decays of the accumulators are learned too. At the default width: 190 weights + 7 decays = 197 meta-parameters.

    Source: Metz et al. 2022, arXiv:2203.11860 (`AdafacMLPLOpt` of google/learned_optimization, reproduced to float32
    rounding). Gradients are not clipped; `num_steps` and the loss are not used.

    Args:
        hidden_size: width of both hidden layers; >= 1. 4 in the original, 32 in muLO.
        step_mult: scale of the update; > 0.
        exp_mult: scale of the magnitude output inside the exponential.

    >>> theta = AdafacMLP().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    197
    """

    hidden_size: int = 4
    step_mult: float = 0.001
    exp_mult: float = 0.001

    def __post_init__(self) -> None:
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be >= 1, got {self.hidden_size}")

    def init(self, key: Key[Array, ""]) -> Any:
        """Weights from a normal distribution truncated at two standard deviations, std 1/sqrt(fan_in); the rest 0.

        Decays start at their defaults: a learned decay is `1 - exp(10 (log(1 - default) / 10 + theta))`.
        """
        sizes = (NUM_TENSOR_FEATURES + NUM_STEP_FEATURES, self.hidden_size, self.hidden_size, 2)
        return {
            "network": networks.init_mlp(key, sizes),
            **{f"{name}_decays": jnp.zeros((len(d),), jnp.float32) for name, d in DECAYS._asdict().items()},
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the network sees the step count, not the horizon

        def init(params: optax.Params) -> AdafacMLPState:
            accumulators = jax.tree.map(lambda p: adafactor.init_accumulators(p, DECAYS), params)
            return AdafacMLPState(jnp.zeros([], jnp.int32), accumulators)

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, AdafacMLPState]:
            del extra_args  # unused: this rule does not look at the loss
            if params is None:
                raise ValueError("AdafacMLP reads the parameters: call update(grads, state, params)")

            prepared = tensors.by_state_dtype(functools.partial(_prepare, theta, state.count), params)
            update_tensor = functools.partial(self._update_tensor, prepared)
            deltas, accumulators = tensors.update_tensors(update_tensor, params, updates, state.accumulators)
            return deltas, AdafacMLPState(state.count + 1, accumulators)

        return optax.GradientTransformationExtraArgs(init, update)

    def _update_tensor(
        self,
        prepared: dict[jnp.dtype, "_Prepared"],
        param: Float[Array, "*shape"],
        gradient: Float[Array, "*shape"],
        accumulators: adafactor.Accumulators,
    ) -> tuple[Float[Array, "*shape"], adafactor.Accumulators]:
        """One tensor's update and new accumulators."""
        dtype = tensors.state_dtype(param)
        decays, layers = prepared[dtype]
        g, p = gradient.astype(dtype), param.astype(dtype)
        accumulators = adafactor.update_accumulators(accumulators, g, decays)
        direction, magnitude = networks.normalised_mlp(
            functools.partial(adafactor.tensor_channels, names=CHANNELS, vector_epsilon=1e-6),
            adafactor.channel_inputs(g, p, accumulators),
            layers,
            epsilon=1e-5,
        )
        delta = direction * jnp.exp(self.exp_mult * magnitude) * -self.step_mult
        return delta.astype(param.dtype), accumulators


class _Prepared(NamedTuple):
    """What all tensors share: decays, and the layers of the network, whose first bias knows the step count."""

    decays: adafactor.Decays
    layers: list[tuple[Array, Array]]


def _prepare(theta: Any, count: Int[Array, ""], dtype: jnp.dtype) -> _Prepared:
    theta = tensors.cast(theta, dtype)
    network = theta["network"]
    weights, step_weights = jax.lax.split(network["w0"], (NUM_TENSOR_FEATURES, NUM_STEP_FEATURES))
    bias = network["b0"] + features.tanh_embedding(count, dtype) @ step_weights
    return _Prepared(
        _decays(theta),
        [(weights, bias), (network["w1"], network["b1"]), (network["w2"], network["b2"])],
    )


def _decays(theta: Any) -> adafactor.Decays:
    """Decays from their learned offsets, `1 - exp(10 (log(1 - default) / 10 + offset))`."""

    def learned(name: str, defaults: Sequence[float]) -> Float[Array, " n"]:
        offset = theta[f"{name}_decays"]
        return 1 - jnp.exp(10 * (jnp.log(1 - jnp.asarray(defaults, offset.dtype)) / 10 + offset))

    return adafactor.Decays(**{name: learned(name, defaults) for name, defaults in DECAYS._asdict().items()})
