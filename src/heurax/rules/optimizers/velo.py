"""VeLO: per-tensor LSTMs that write the weights of per-parameter networks (HyperV2 of Metz et al. 2022)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import adafactor, features, scheduler, tensors
from heurax.rules.optimizers.loss_features import LossAverages, init_loss_averages, update_loss_averages
from heurax.rules.optimizers.networks import element_means, mean_squares
from heurax.rules.optimizers.parameter_network import (
    init_bank,
    mix_bank,
    network_step,
    unstack_networks,
    with_step_size,
)
from heurax.rules.optimizers.recurrent import LSTMState, initial_lstm_state, linear

__all__ = ["VeLO", "VeLOState"]

DECAYS = adafactor.Decays()
NUM_RANKS = 5
NUM_SPREADS = 2 * len(DECAYS.momentum)
NUM_STATISTICS = 1 + NUM_SPREADS
NUM_FEATURES = scheduler.NUM_GLOBAL_FEATURES + NUM_RANKS + NUM_STATISTICS
BUGGED_HORIZON = 10


class VeLOState(NamedTuple):
    """State of `VeLO`: the LSTM has one row per tensor, in the order of the leaves, and so have the statistics.

    The statistics are those of the accumulators, for the *next* update: if that took them itself, XLA would copy the
    accumulators before it overwrites them.
    """

    count: Int[Array, ""]
    loss: LossAverages
    lstm: LSTMState
    accumulators: Any
    statistics: Float[Array, "tensors 7"]


@dataclass(frozen=True)
class VeLO(LearnedOptimizer):
    """A hypernetwork: an LSTM per tensor mixes the weights of the tensor's per-parameter MLP and sets its step size.

    The LSTM reads 30 features of a tensor: the fraction of training done, how the loss changes, the rank, and the
    logarithms of mean and variance of its accumulators. Its outputs are `param_inits` coefficients `c` and a step size
    `a`. The MLP 30-4-4-3 with the weights `ff_mult * mean_k(c_k bank_k)` reads gradient, parameter, momenta and
    Adafactor statistics, each divided by its root mean square; from its outputs direction `d` and magnitude `m`

        delta = -a * 0.001 * d * exp(0.001 * m) * sqrt(mean(p^2) + 1e-9).

    `update` needs the training loss as `value=`, and `num_steps` is the horizon that the features refer to.

    Source: Metz et al. 2022, arXiv:2211.09760 (`HyperV2` of google/learned_optimization, reproduced to float32
    rounding). Gradients are clipped to [-1000, 1000] elementwise. A layer of the original whose output is discarded is
    left out; so are the third outputs of the networks, except in `theta`.

    Args:
        lstm_hidden_size: size of the LSTM; >= 1.
        param_inits: networks in the bank; >= 1.
        ff_mult: scale of the mixed weights: 100 in the original, 1 in the variants of muLO and of the Celo repository.
        param_scale: whether updates scale with the root mean square of the parameter.
        bugged_loss_features: average the loss as if the horizon was 10. Only for weights trained that way.
        bugged_lstm_state: forget the LSTM's state after every update. Only for weights trained that way.

    >>> theta = VeLO(lstm_hidden_size=8, param_inits=4).init(jax.random.key(0))
    >>> jax.tree.map(lambda leaf: leaf.shape, theta["bank"])["w0"]
    (4, 30, 4)
    """

    lstm_hidden_size: int = 512
    param_inits: int = 256
    ff_mult: float = 100.0
    param_scale: bool = True
    bugged_loss_features: bool = False
    bugged_lstm_state: bool = False

    def __post_init__(self) -> None:
        for name in ("lstm_hidden_size", "param_inits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Weights from a normal distribution truncated at two standard deviations, std 1/sqrt(fan_in); the rest 0."""
        key_bank, key_scheduler = jax.random.split(key)
        heads = {"controls": self.param_inits, "step_size": 1}
        return {
            "bank": init_bank(key_bank, self.param_inits),
            "scheduler": scheduler.init_scheduler(key_scheduler, NUM_FEATURES, self.lstm_hidden_size, heads),
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        loss_horizon = BUGGED_HORIZON if self.bugged_loss_features else num_steps

        def init(params: optax.Params) -> VeLOState:
            dtype = tensors.tree_dtype(params)
            return VeLOState(
                count=jnp.zeros([], jnp.int32),
                loss=init_loss_averages(dtype),
                lstm=initial_lstm_state(theta["scheduler"]["lstm"], len(jax.tree.leaves(params)), dtype),
                accumulators=jax.tree.map(lambda p: adafactor.init_accumulators(p, DECAYS), params),
                statistics=jnp.zeros((len(jax.tree.leaves(params)), NUM_STATISTICS), dtype),
            )

        def update(
            updates: optax.Updates,
            state: Any,
            params: optax.Params | None = None,
            *,
            value: Any = None,
            **extra_args: Any,
        ) -> tuple[optax.Updates, VeLOState]:
            del extra_args  # unused: this rule reads nothing but the loss
            if params is None:
                raise ValueError("VeLO reads the parameters: call update(grads, state, params, value=loss)")
            dtype = tensors.tree_dtype(params)
            loss = scheduler.loss_argument("VeLO", value, dtype)
            if not jax.tree.leaves(params):
                return updates, state

            averages = update_loss_averages(state.loss, loss, state.count, loss_horizon)
            shared_features = scheduler.global_features(averages, state.count, num_steps, loss_horizon)
            squares = tensors.map_tensors(lambda p: mean_squares([p[None].astype(tensors.state_dtype(p))]), params)
            squares = jnp.concatenate([square.astype(dtype) for square in jax.tree.leaves(squares)])
            own_features = _tensor_features(params, state.statistics, squares)
            shared_rows = jnp.broadcast_to(shared_features[None], (len(own_features), shared_features.size))
            theta_lstm = tensors.cast(theta["scheduler"], dtype)
            lstm = scheduler.schedule(theta_lstm, jnp.concatenate([shared_rows, own_features], axis=1), state.lstm)
            step_sizes = linear(theta_lstm["step_size"], lstm.hidden)[:, 0]
            if self.param_scale:
                step_sizes = step_sizes * jnp.sqrt(squares + 1e-9)
            controls = linear(theta_lstm["controls"], lstm.hidden)
            mixed = mix_bank(tensors.cast(theta["bank"], dtype), controls, self.ff_mult)

            def update_tensor(
                param: Array, gradient: Array, accumulators: Any, network: Any
            ) -> tuple[Array, tuple[adafactor.Accumulators, Array]]:
                delta, accumulators = network_step(network, param, gradient, accumulators, DECAYS)
                return delta, (accumulators, _statistics(accumulators))

            unflatten = jax.tree.structure(params).unflatten
            networks = unflatten(unstack_networks(with_step_size(mixed, step_sizes)))
            deltas, states = tensors.update_tensors(update_tensor, params, updates, state.accumulators, networks)
            accumulators, statistics = zip(*(row[0] for row in tensors.tensor_rows(params, states)), strict=True)
            statistics = jnp.stack([row.astype(dtype) for row in statistics])
            next_lstm = state.lstm if self.bugged_lstm_state else lstm
            return deltas, VeLOState(state.count + 1, averages, next_lstm, unflatten(accumulators), statistics)

        return optax.GradientTransformationExtraArgs(init, update)


def _statistics(accumulators: adafactor.Accumulators) -> Float[Array, " 7"]:
    """The mean of a tensor's second moment, and mean squares of deviations of its accumulators.

    The spread of the second moment is taken around the mean of each *momentum*, which is why it counts three times: as
    in the original.
    """
    *momentum, second_moment = adafactor.each(accumulators.momentum, accumulators.second_moment)
    rank = second_moment.ndim - 1
    means = [x.reshape(1, *(1,) * rank) for x in element_means([*momentum, second_moment])]
    deviations = [x - mean for x, mean in zip(momentum, means, strict=False)]
    deviations += [second_moment - mean for mean in means[:-1]]
    return jnp.concatenate([means[-1].reshape(1), mean_squares(deviations)])


def _tensor_features(
    params: Any, statistics: Float[Array, "tensors 7"], squares: Float[Array, " tensors"]
) -> Float[Array, "tensors 12"]:
    """Features of all tensors: logarithms of mean and spreads, relative to the parameter's scale, and its rank.

    Args:
        params: the tree of parameters.
        statistics: of accumulators that have not seen this update's gradient.
        squares: the mean square of each parameter.
    """
    scales = features.safe_rsqrt(squares)[:, None]
    relative = statistics * jnp.concatenate([scales] + NUM_SPREADS * [jnp.square(scales)], axis=1)
    logarithms = 0.5 * features.log_feature(relative, 10.0)
    ranks = np.array([sum(size > 1 for size in leaf.shape) for leaf in jax.tree.leaves(params)])
    rank = jax.nn.one_hot(ranks, NUM_RANKS, dtype=logarithms.dtype)
    return jnp.concatenate([logarithms[:, :1], rank, logarithms[:, 1:]], axis=1)
