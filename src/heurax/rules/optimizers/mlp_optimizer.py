"""MLPOptimizer: a small network over gradient, parameter and six momenta (the "LOLv2" of Metz et al.)."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import features, networks, tensors

__all__ = ["MLPOptimizer", "MLPOptimizerState"]

MOMENTUM_DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
NUM_TENSOR_FEATURES = 2 + len(MOMENTUM_DECAYS)
NUM_STEP_FEATURES = 11


class MLPOptimizerState(NamedTuple):
    """Accumulators of `MLPOptimizer`; `momentum` holds `[decays, *shape]` for each parameter."""

    count: Int[Array, ""]
    momentum: Any


@dataclass(frozen=True)
class MLPOptimizer(LearnedOptimizer):
    """A per-parameter MLP 19-h-h-2 on gradient, parameter and momenta.

    8 features of each element (gradient, parameter and momenta with decays .1, .5, .9, .99, .999, .9999), each divided
    by its root mean square over the tensor, and 11 features of the step count enter a ReLU network with two hidden
    layers. Its two outputs, a direction `d` and a magnitude `m`, make the update

        delta = -step_mult * d * exp(exp_mult * m).

    At the default width: 1,762 meta-parameters.

    Source: `MLPLOpt` of google/learned_optimization, reproduced to float32 rounding. Gradients are not clipped;
    `num_steps` and the loss are not used.

    Args:
        hidden_size: width of both hidden layers; >= 1.
        step_mult: scale of the update; > 0.
        exp_mult: scale of the magnitude output inside the exponential.

    >>> theta = MLPOptimizer().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    1762
    """

    hidden_size: int = 32
    step_mult: float = 0.001
    exp_mult: float = 0.001

    def __post_init__(self) -> None:
        if self.hidden_size < 1:
            raise ValueError(f"hidden_size must be >= 1, got {self.hidden_size}")

    def init(self, key: Key[Array, ""]) -> dict[str, Array]:
        """Weights from a normal distribution truncated at two standard deviations, std 1/sqrt(fan_in); biases 0."""
        return networks.init_mlp(key, (NUM_TENSOR_FEATURES + NUM_STEP_FEATURES, self.hidden_size, self.hidden_size, 2))

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the network sees the step count, not the horizon

        def init(params: optax.Params) -> MLPOptimizerState:
            momentum = jax.tree.map(lambda p: features.init_moments(p, len(MOMENTUM_DECAYS)), params)
            return MLPOptimizerState(jnp.zeros([], jnp.int32), momentum)

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, MLPOptimizerState]:
            del extra_args  # unused: this rule does not look at the loss
            if params is None:
                raise ValueError("MLPOptimizer reads the parameters: call update(grads, state, params)")

            layers = tensors.by_state_dtype(functools.partial(_layers, theta, state.count), params)
            update_tensor = functools.partial(self._update_tensor, layers)
            deltas, momentum = tensors.update_tensors(update_tensor, params, updates, state.momentum)
            return deltas, MLPOptimizerState(state.count + 1, momentum)

        return optax.GradientTransformationExtraArgs(init, update)

    def _update_tensor(
        self,
        layers: dict[jnp.dtype, list[tuple[Array, Array]]],
        param: Float[Array, "*shape"],
        gradient: Float[Array, "*shape"],
        momentum: Float[Array, "m *shape"],
    ) -> tuple[Float[Array, "*shape"], Float[Array, "m *shape"]]:
        """One tensor's update and new momenta."""
        dtype = tensors.state_dtype(param)
        g, p = gradient.astype(dtype), param.astype(dtype)
        momentum = features.decay_moments(momentum, g, jnp.asarray(MOMENTUM_DECAYS, dtype))
        direction, magnitude = networks.normalised_mlp(
            lambda inputs: inputs, [g[None], p[None], momentum], layers[dtype], epsilon=1e-5
        )
        delta = direction * jnp.exp(self.exp_mult * magnitude) * -self.step_mult
        return delta.astype(param.dtype), momentum


def _layers(theta: Any, count: Int[Array, ""], dtype: jnp.dtype) -> list[tuple[Array, Array]]:
    """The layers of the network, whose first bias knows the step count."""
    theta = tensors.cast(theta, dtype)
    weights, step_weights = jax.lax.split(theta["w0"], (NUM_TENSOR_FEATURES, NUM_STEP_FEATURES))
    bias = theta["b0"] + features.tanh_embedding(count, dtype) @ step_weights
    return [(weights, bias), (theta["w1"], theta["b1"]), (theta["w2"], theta["b2"])]
