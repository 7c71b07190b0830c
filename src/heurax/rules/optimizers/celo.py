"""Celo: one learned per-parameter network and one learned schedule, trained one after the other."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import adafactor, scheduler, tensors
from heurax.rules.optimizers.parameter_network import (
    init_bank,
    mix_bank,
    network_step,
    unstack_networks,
    with_step_size,
)
from heurax.rules.optimizers.recurrent import linear

__all__ = ["Celo", "CeloState"]

DECAYS = adafactor.Decays()
PHASES = (1, 2)


class CeloState(NamedTuple):
    """State of `Celo`: of its scheduler, and accumulators of each parameter."""

    count: Int[Array, ""]
    scheduler: scheduler.SchedulerState
    accumulators: Any


@dataclass(frozen=True)
class Celo(LearnedOptimizer):
    """A per-parameter MLP 30-4-4-3 under a learned schedule.

    The MLP reads gradient, parameter, momenta and Adafactor statistics of each element, as in `VeLO`. The scheduler,
    an LSTM, reads the fraction of training done and how the loss changes, and sets one step size `a` for all tensors.
    With the MLP's direction `d` and magnitude `m`

        delta = -a * 0.001 * d * exp(0.001 * m) * sqrt(mean(p^2) + 1e-9).

    Training has two phases. In phase 1, `a` is 1, and the MLP is trained. In phase 2 the MLP stays as it is and the
    scheduler is trained. `heurax.artifacts.PartlyTrained` does either, of `bank` and of `scheduler`.

    `update` needs the training loss as `value=`, and `num_steps` is the horizon that the schedule refers to.

    Source: `Celo` of amoudgl/celo (reproduced to float32 rounding; released weights load with
    `heurax.artifacts.importers`). Gradients are clipped to [-1000, 1000] elementwise. With `param_inits` above 1 the
    scheduler also mixes several networks, by `mean_k(softmax(c)_k network_k)`. As all tensors have the same schedule,
    the LSTM has a single row where the original repeats it for every tensor.

    Args:
        lstm_hidden_size: size of the LSTM; >= 1.
        param_inits: networks in the bank; >= 1.
        phase: 1 without the scheduler's step size, 2 with it.

    >>> theta = Celo().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    35873
    """

    lstm_hidden_size: int = 64
    param_inits: int = 1
    phase: int = 2

    def __post_init__(self) -> None:
        for name in ("lstm_hidden_size", "param_inits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.phase not in PHASES:
            raise ValueError(f"phase must be 1 or 2, got {self.phase}")

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Weights from a normal distribution truncated at two standard deviations, std 1/sqrt(fan_in); the rest 0."""
        key_bank, key_scheduler = jax.random.split(key)
        heads = {"controls": self.param_inits, "step_size": 1}
        return {
            "bank": init_bank(key_bank, self.param_inits),
            "scheduler": scheduler.init_scheduler(
                key_scheduler, scheduler.NUM_GLOBAL_FEATURES, self.lstm_hidden_size, heads
            ),
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""

        def init(params: optax.Params) -> CeloState:
            return CeloState(
                count=jnp.zeros([], jnp.int32),
                scheduler=scheduler.init_scheduler_state(theta["scheduler"], tensors.tree_dtype(params)),
                accumulators=jax.tree.map(lambda p: adafactor.init_accumulators(p, DECAYS), params),
            )

        def update(
            updates: optax.Updates,
            state: Any,
            params: optax.Params | None = None,
            *,
            value: Any = None,
            **extra_args: Any,
        ) -> tuple[optax.Updates, CeloState]:
            del extra_args  # unused: this rule reads nothing but the loss
            if params is None:
                raise ValueError("Celo reads the parameters: call update(grads, state, params, value=loss)")
            dtype = tensors.tree_dtype(params)
            loss = scheduler.loss_argument("Celo", value, dtype)
            cast_theta = tensors.cast(theta, dtype)
            schedule = scheduler.schedule_globally(
                cast_theta["scheduler"], state.scheduler, loss, state.count, num_steps
            )
            controls = jax.nn.softmax(linear(cast_theta["scheduler"]["controls"], schedule.lstm.hidden))
            (network,) = unstack_networks(mix_bank(cast_theta["bank"], controls, 1.0))
            scale = 1.0
            if self.phase == 2:
                scale = scheduler.learning_rate_multiplier(cast_theta["scheduler"], schedule)

            def update_tensor(param: Array, gradient: Array, accumulators: Any) -> tuple[Array, adafactor.Accumulators]:
                square = jnp.mean(jnp.square(param.astype(tensors.state_dtype(param))))
                stepping = with_step_size(network, scale * jnp.sqrt(square + 1e-9))
                return network_step(stepping, param, gradient, accumulators, DECAYS)

            deltas, accumulators = tensors.update_tensors(update_tensor, params, updates, state.accumulators)
            return deltas, CeloState(state.count + 1, schedule, accumulators)

        return optax.GradientTransformationExtraArgs(init, update)
