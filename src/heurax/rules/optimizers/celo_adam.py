"""CeloAdam: Adam under Celo's learned schedule."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import features, scheduler, tensors

__all__ = ["CeloAdam", "CeloAdamState"]

LEARNING_RATE = 0.001


class CeloAdamState(NamedTuple):
    """State of `CeloAdam`: of its scheduler, and `[2, *shape]` moments of each parameter."""

    count: Int[Array, ""]
    scheduler: scheduler.SchedulerState
    moments: Any


@dataclass(frozen=True)
class CeloAdam(LearnedOptimizer):
    """Adam whose learning rate an LSTM sets, from the fraction of training done and from how the loss changes.

        delta = -0.001 * a * m_hat / (epsilon + sqrt(v_hat + 1e-10)),    a = 0.1 exp(step_size(h))

    with bias-corrected moments. `update` needs the training loss as `value=`, and `num_steps` is the horizon that the
    schedule refers to.

    Source: `CeloAdam` of amoudgl/celo (reproduced to float32 rounding; released weights load with
    `heurax.artifacts.importers`). Gradients are clipped to [-1000, 1000] elementwise. The LSTM has a single row where
    the original repeats it for every tensor.

    Args:
        lstm_hidden_size: size of the LSTM; >= 1.
        beta1: decay of the first moment; in [0, 1).
        beta2: decay of the second moment; in [0, 1).
        epsilon: added to the root of the second moment; >= 0.

    >>> theta = CeloAdam().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    35649
    """

    lstm_hidden_size: int = 64
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.lstm_hidden_size < 1:
            raise ValueError(f"lstm_hidden_size must be >= 1, got {self.lstm_hidden_size}")
        for name in ("beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not self.epsilon >= 0:
            raise ValueError(f"epsilon must be >= 0, got {self.epsilon}")

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Weights from a normal distribution truncated at two standard deviations, std 1/sqrt(fan_in); the rest 0."""
        heads = {"step_size": 1}
        return {"scheduler": scheduler.init_scheduler(key, scheduler.NUM_GLOBAL_FEATURES, self.lstm_hidden_size, heads)}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; `update` does not need `params`."""

        def init(params: optax.Params) -> CeloAdamState:
            return CeloAdamState(
                count=jnp.zeros([], jnp.int32),
                scheduler=scheduler.init_scheduler_state(theta["scheduler"], tensors.tree_dtype(params)),
                moments=jax.tree.map(lambda p: features.init_moments(p, 2), params),
            )

        def update(
            updates: optax.Updates,
            state: Any,
            params: optax.Params | None = None,
            *,
            value: Any = None,
            **extra_args: Any,
        ) -> tuple[optax.Updates, CeloAdamState]:
            del extra_args  # unused: this rule reads nothing but the loss
            dtype = state.scheduler.loss.means.dtype
            loss = scheduler.loss_argument("CeloAdam", value, dtype)
            theta_scheduler = tensors.cast(theta["scheduler"], dtype)
            schedule = scheduler.schedule_globally(theta_scheduler, state.scheduler, loss, state.count, num_steps)
            learning_rate = LEARNING_RATE * scheduler.learning_rate_multiplier(theta_scheduler, schedule)

            def update_tensor(like: Array, gradient: Array, moments: Array) -> tuple[Array, Array]:
                return self._update_tensor(learning_rate, state.count, like, gradient, moments)

            like = updates if params is None else params
            deltas, moments = tensors.update_tensors(update_tensor, like, updates, state.moments)
            return deltas, CeloAdamState(state.count + 1, schedule, moments)

        return optax.GradientTransformationExtraArgs(init, update)

    def _update_tensor(
        self, learning_rate: Array, count: Int[Array, ""], like: Array, gradient: Array, moments: Array
    ) -> tuple[Array, Array]:
        """One tensor's update and new moments."""
        dtype = moments.dtype
        g = features.clip_gradient(gradient.astype(dtype))
        moments = features.decay_adam_moments(moments, g, self.beta1, self.beta2)
        step = features.adam_direction(moments, count, self.beta1, self.beta2, epsilon=self.epsilon, root_epsilon=1e-10)
        return (-learning_rate.astype(dtype) * step).astype(like.dtype), moments
