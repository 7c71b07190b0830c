"""Optim4RL: two GRUs per parameter in the shape of Adam, for reinforcement learning (Lan et al. 2023)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import features, networks, tensors
from heurax.rules.optimizers.recurrent import gru, init_gru

__all__ = ["Optim4RL", "Optim4RLState"]

EPSILON = 1e-8


class Optim4RLState(NamedTuple):
    """State of `Optim4RL`: `[gru_size, *shape]` hidden states of each parameter."""

    momentum: Any
    second_moment: Any


@dataclass(frozen=True)
class Optim4RL(LearnedOptimizer):
    """Two GRUs per parameter that take the places of Adam's moments.

    One GRU reads the gradient `g` of an element, the other its square; a linear output of each, `o1` and `o2`, makes

        m = sign(g) exp(o1),    v = exp(o2),    delta = -learning_rate * m / sqrt(v + 1e-8).

    So the update has the gradient's sign whatever `theta` is, and its size is learned: gradients of reinforcement
    learning vary over many orders of magnitude, in which networks on raw gradients lose the small ones.
    Meta-gradients do not flow through `g`, only through the hidden states. At the default size: 514 meta-parameters and
    16 numbers of state per parameter. `update` needs neither `params` nor the loss, and `num_steps` is not used.

    Source: Lan et al. 2023, arXiv:2302.01470 (`Optim4RL` of sail-sg/optim4rl in its version of 2024, which by
    default has no hidden layers after the GRUs; here it never has). Some of the published settings clip gradients
    elementwise at 1: that is `optax.clip(1.0)` before it.

    Args:
        learning_rate: scale of the update; > 0. published settings have 1e-3 and 3e-3 on grids, 3e-4 on Ant.
        gru_size: size of both GRUs; >= 1.

    >>> theta = Optim4RL().init(jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    514
    """

    learning_rate: float = 1e-3
    gru_size: int = 8

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if self.gru_size < 1:
            raise ValueError(f"gru_size must be >= 1, got {self.gru_size}")

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Input and output weights normal with variance 1/fan_in, recurrent ones orthogonal, biases 0."""
        lecun_normal = jax.nn.initializers.lecun_normal()

        def branch(key: Key[Array, ""]) -> dict[str, Array]:
            key_gru, key_output = jax.random.split(key)
            output = {"w": lecun_normal(key_output, (self.gru_size, 1), jnp.float32), "b": jnp.zeros((1,), jnp.float32)}
            return init_gru(key_gru, 1, self.gru_size) | output

        key_momentum, key_second_moment = jax.random.split(key)
        return {"momentum": branch(key_momentum), "second_moment": branch(key_second_moment)}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax transformation that `theta` describes; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the GRUs see the gradient alone

        def init(params: optax.Params) -> Optim4RLState:
            hidden = jax.tree.map(lambda p: features.init_moments(p, self.gru_size), params)
            return Optim4RLState(hidden, hidden)

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, Optim4RLState]:
            del extra_args  # unused: this rule does not look at the loss
            like = updates if params is None else params

            def update_tensor(like: Array, gradient: Array, momentum: Array, second_moment: Array) -> tuple[Array, Any]:
                delta, hidden = self._update_tensor(theta, gradient, momentum, second_moment)
                return delta.astype(like.dtype), hidden

            deltas, hidden = tensors.update_tensors(update_tensor, like, updates, state.momentum, state.second_moment)
            momentum, second_moment = (jax.tree.map(lambda _, h, i=i: h[i], like, hidden) for i in range(2))
            return deltas, Optim4RLState(momentum, second_moment)

        return optax.GradientTransformationExtraArgs(init, update)

    def _update_tensor(
        self,
        theta: Any,
        gradient: Float[Array, "*shape"],
        momentum: Float[Array, "h *shape"],
        second_moment: Float[Array, "h *shape"],
    ) -> tuple[Float[Array, "*shape"], tuple[Array, Array]]:
        """One tensor's update and its new hidden states."""
        dtype = momentum.dtype
        theta = tensors.cast(theta, dtype)
        g = jax.lax.stop_gradient(gradient.astype(dtype))
        log_m, momentum = _branch(theta["momentum"], g, momentum)
        log_v, second_moment = _branch(theta["second_moment"], jnp.square(g), second_moment)
        delta = -self.learning_rate * jnp.sign(g) * jnp.exp(log_m) * jax.lax.rsqrt(jnp.exp(log_v) + EPSILON)
        return delta, (momentum, second_moment)


def _branch(theta: Any, x: Float[Array, "*shape"], hidden: Float[Array, "h *shape"]) -> tuple[Array, Array]:
    """The output of a GRU that reads `x`, and its new hidden state."""
    hidden = gru(theta, jnp.concatenate(networks.linear([x[None]], theta["input_w"], theta["input_b"])), hidden)
    (output,) = networks.unpack(networks.linear([hidden], theta["w"], theta["b"]))
    return output, hidden
