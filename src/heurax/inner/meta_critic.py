"""A critic beside an agent that learns by an objective: it makes the agent's return differentiable."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.inner.experience import Experience
from heurax.inner.gae import gae
from heurax.inner.torsos import HeadedNetwork, Torso
from heurax.rules import Head, OptaxOptimizer

__all__ = ["Critic", "CriticState"]


class CriticState(NamedTuple):
    """The critic's parameters and its optimizer's state."""

    params: Any
    optimizer_state: Any


@dataclass(frozen=True)
class Critic:
    """A value function with a torso of its own, like the agent's, trained by Adam on the agent's rollouts.

    A rollout's returns are those of generalised advantage estimation; an update is one step on half the mean squared
    error. No gradient with respect to meta-parameters passes through it.

    Args:
        learning_rate: > 0.
        discount: of future rewards; in [0, 1].
        trace_decay: lambda; in [0, 1].
    """

    learning_rate: float = 1e-3
    discount: float = 0.99
    trace_decay: float = 0.95

    def __post_init__(self) -> None:
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        for name in ("discount", "trace_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")

    def init(self, torso: Torso, observation_shape: tuple[int, ...], key: Key[Array, ""]) -> CriticState:
        """A fresh critic."""
        params = _module(torso).init(key, jnp.zeros(observation_shape, jnp.float32))["params"]
        return CriticState(params, self._optimizer.init(params))

    def update(
        self, torso: Torso, state: CriticState, observation: Float[Array, "..."], experience: Experience
    ) -> tuple[CriticState, Float[Array, ""]]:
        """One step on a rollout; `observation` has those before its steps and the one after."""
        state = jax.lax.stop_gradient(state)
        advantage = self._estimate(torso, state, observation, experience)
        returns = advantage + _values(torso, state.params, observation)[:-1]

        def loss_fn(params: Any) -> Array:
            return 0.5 * jnp.mean((_values(torso, params, observation[:-1]) - returns) ** 2)

        loss, gradient = jax.value_and_grad(loss_fn)(state.params)
        updates, optimizer_state = self._optimizer.update(gradient, state.optimizer_state, state.params)
        return CriticState(optax.apply_updates(state.params, updates), optimizer_state), loss

    def advantages(
        self, torso: Torso, state: CriticState, observation: Float[Array, "..."], experience: Experience
    ) -> Float[Array, "time batch"]:
        """Standardised advantages of a rollout's actions."""
        advantage = self._estimate(torso, jax.lax.stop_gradient(state), observation, experience)
        return (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)

    @property
    def _optimizer(self) -> optax.GradientTransformationExtraArgs:
        rule = OptaxOptimizer("adam", self.learning_rate)
        return rule.optimizer(rule.init(jax.random.key(0)), num_steps=1)

    def _estimate(self, torso: Torso, state: CriticState, observation: Array, experience: Experience) -> Array:
        value = _values(torso, state.params, observation)
        along_time = functools.partial(gae, discount=self.discount, trace_decay=self.trace_decay)
        return jax.vmap(along_time, 1, 1)(experience.reward, value[:-1], value[1:], experience.ended, experience.ended)


def _module(torso: Torso) -> nn.Module:
    return HeadedNetwork(torso, (Head("v", 1),), num_actions=1).learner()


def _values(torso: Torso, params: Any, observation: Array) -> Float[Array, "time batch"]:
    one = lambda x: cast(Any, _module(torso).apply({"params": params}, x))["v"][0]  # noqa: E731
    return jax.vmap(jax.vmap(one))(observation)
