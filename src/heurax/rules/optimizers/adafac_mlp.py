"""AdafacMLP: a tiny network over momenta and Adafactor statistics (the `small_fc_lopt` of Metz et al. 2022)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import adafactor, features

__all__ = ["AdafacMLP", "AdafacMLPState"]

MOMENTUM_DECAYS = (0.9, 0.99, 0.999)
SECOND_MOMENT_DECAYS = (0.999,)
FACTORED_DECAYS = (0.9, 0.99, 0.999)
CHANNELS = tuple(name for name in adafactor.CHANNELS if name not in ("clipped_gradient", "scaled_gradient"))
NUM_TENSOR_FEATURES = 28
NUM_STEP_FEATURES = 11


class AdafacMLPState(NamedTuple):
    """Accumulators of `AdafacMLP`; `momentum` and `second_moment` hold `[decays, *shape]` for each parameter."""

    count: Int[Array, ""]
    momentum: Any
    second_moment: Any
    factored: Any


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
            "network": features.init_mlp(key, sizes),
            "momentum_decays": jnp.zeros((len(MOMENTUM_DECAYS),), jnp.float32),
            "second_moment_decays": jnp.zeros((len(SECOND_MOMENT_DECAYS),), jnp.float32),
            "factored_decays": jnp.zeros((len(FACTORED_DECAYS),), jnp.float32),
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the network sees the step count, not the horizon

        def init(params: optax.Params) -> AdafacMLPState:
            return AdafacMLPState(
                count=jnp.zeros([], jnp.int32),
                momentum=jax.tree.map(lambda p: features.init_moments(p, len(MOMENTUM_DECAYS)), params),
                second_moment=jax.tree.map(lambda p: features.init_moments(p, len(SECOND_MOMENT_DECAYS)), params),
                factored=jax.tree.map(lambda p: features.init_factored(p, len(FACTORED_DECAYS)), params),
            )

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, AdafacMLPState]:
            del extra_args  # unused: this rule does not look at the loss
            if params is None:
                raise ValueError("AdafacMLP reads the parameters: call update(grads, state, params)")
            leaves, treedef = jax.tree.flatten(params)
            results = [
                self._update_tensor(theta, state.count, *tensor)
                for tensor in zip(
                    treedef.flatten_up_to(updates),
                    leaves,
                    treedef.flatten_up_to(state.momentum),
                    treedef.flatten_up_to(state.second_moment),
                    treedef.flatten_up_to(state.factored),
                    strict=True,
                )
            ]
            deltas, momentum, second_moment, factored = (
                treedef.unflatten([result[i] for result in results]) for i in range(4)
            )
            return deltas, AdafacMLPState(state.count + 1, momentum, second_moment, factored)

        return optax.GradientTransformationExtraArgs(init, update)

    def _update_tensor(
        self,
        theta: Any,
        count: Int[Array, ""],
        gradient: Float[Array, "*shape"],
        param: Float[Array, "*shape"],
        momentum: Float[Array, "m *shape"],
        second_moment: Float[Array, "v *shape"],
        factored: features.FactoredMoment,
    ) -> tuple[Float[Array, "*shape"], Array, Array, features.FactoredMoment]:
        """One tensor's update and new accumulators."""
        dtype = features.state_dtype(param)
        theta = jax.tree.map(lambda x: x.astype(dtype), theta)
        g, p = gradient.astype(dtype), param.astype(dtype)
        momentum = features.decay_moments(momentum, g, _decays(MOMENTUM_DECAYS, theta["momentum_decays"]))
        second_moment = features.decay_moments(
            second_moment, g**2, _decays(SECOND_MOMENT_DECAYS, theta["second_moment_decays"])
        )
        factored = features.update_factored(factored, g, _decays(FACTORED_DECAYS, theta["factored_decays"]))

        accumulators = adafactor.Accumulators(momentum, second_moment, factored)
        channels = adafactor.tensor_channels(g, p, accumulators, vector_epsilon=1e-6)
        network = theta["network"]
        w0, b0 = network["w0"], network["b0"]
        step_features = features.tanh_embedding(count, dtype)
        hidden = features.normalised_linear(
            adafactor.ordered_channels(channels, CHANNELS),
            w0[:NUM_TENSOR_FEATURES],
            b0 + step_features @ w0[NUM_TENSOR_FEATURES:],
            epsilon=1e-5,
        )
        direction, magnitude = features.mlp(hidden, [(network["w1"], network["b1"]), (network["w2"], network["b2"])])
        delta = direction * jnp.exp(self.exp_mult * magnitude) * -self.step_mult
        return delta.astype(param.dtype), momentum, second_moment, factored


def _decays(defaults: tuple[float, ...], offset: Float[Array, " n"]) -> Float[Array, " n"]:
    """Decays from their learned offsets, `1 - exp(10 (log(1 - default) / 10 + offset))`."""
    log_one_minus = jnp.log(1 - jnp.asarray(defaults, offset.dtype)) / 10
    return 1 - jnp.exp(10 * (log_one_minus + offset))
