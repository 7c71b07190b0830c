"""Policies: distributions over actions, made from the outputs of a network."""

import abc
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from heurax.envs import ActionSpace, Box, Discrete

__all__ = ["POLICIES", "Categorical", "DiagonalGaussian", "Policy", "default_policy"]

LOG_2_PI = math.log(2 * math.pi)


class Policy(abc.ABC):
    """A family of distributions over actions; a frozen dataclass.

    All functions but `noise` are written for one action. `params` are the agent's parameters, among which `init` puts
    the policy's own; `outputs` are the network's for one observation.
    """

    @abc.abstractmethod
    def check(self, space: ActionSpace) -> None:
        """Raise ValueError if this policy cannot act in a space."""

    @abc.abstractmethod
    def num_outputs(self, space: Any) -> int:
        """How many numbers it needs from the network."""

    @abc.abstractmethod
    def init(self, space: Any) -> dict[str, Array]:
        """The policy's own parameters, by names that no part of a network has."""

    def activity(self, params: Any) -> dict[str, Array]:
        """Magnitudes of what its own parameters stand for, under their names; by default it has none."""
        del params  # unused: there are none
        return {}

    @abc.abstractmethod
    def noise(self, space: Any, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        """All randomness of a batch of actions, drawn at once: `[*shape, num_outputs]`."""

    @abc.abstractmethod
    def sample(self, params: Any, outputs: Float[Array, " outputs"], noise: Float[Array, " outputs"]) -> Array:
        """The action that `noise` picks."""

    @abc.abstractmethod
    def mode(self, params: Any, outputs: Float[Array, " outputs"]) -> Array:
        """The most likely action."""

    @abc.abstractmethod
    def log_prob(self, params: Any, outputs: Float[Array, " outputs"], action: Array) -> Float[Array, ""]:
        """The logarithm of the probability, or of the density, of an action."""

    @abc.abstractmethod
    def entropy(self, params: Any, outputs: Float[Array, " outputs"]) -> Float[Array, ""]:
        """The entropy in nats."""


@dataclass(frozen=True)
class Categorical(Policy):
    """One of finitely many actions, with the network's outputs as logits; sampled by the Gumbel trick."""

    def check(self, space: ActionSpace) -> None:
        """Needs discrete actions."""
        if not isinstance(space, Discrete):
            raise ValueError(f"Categorical needs discrete actions; the environment's are {space}")

    def num_outputs(self, space: Discrete) -> int:
        """A logit per action."""
        return space.num_actions

    def init(self, space: Discrete) -> dict[str, Array]:
        """There are none."""
        del space  # unused: there are no parameters
        return {}

    def noise(self, space: Discrete, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        """Gumbel variates."""
        return jax.random.gumbel(key, (*shape, space.num_actions), jnp.float32)

    def sample(self, params: Any, outputs: Float[Array, " n"], noise: Float[Array, " n"]) -> Int[Array, ""]:
        """The action whose logit is largest with the noise added."""
        del params  # unused: there are none
        return jnp.argmax(outputs + noise).astype(jnp.int32)

    def mode(self, params: Any, outputs: Float[Array, " n"]) -> Int[Array, ""]:
        """The action with the largest logit."""
        del params  # unused: there are none
        return jnp.argmax(outputs).astype(jnp.int32)

    def log_prob(self, params: Any, outputs: Float[Array, " n"], action: Int[Array, ""]) -> Float[Array, ""]:
        """The logarithm of the softmax."""
        del params  # unused: there are none
        chosen = jnp.arange(outputs.shape[0]) == action  # a mask, whose gradient is no scatter
        return jnp.sum(jnp.where(chosen, jax.nn.log_softmax(outputs), 0.0))

    def entropy(self, params: Any, outputs: Float[Array, " n"]) -> Float[Array, ""]:
        """Of the softmax."""
        del params  # unused: there are none
        log_probs = jax.nn.log_softmax(outputs)
        return -jnp.sum(jnp.exp(log_probs) * log_probs)


@dataclass(frozen=True)
class DiagonalGaussian(Policy):
    """A vector with independent normal elements: the network's outputs are the means, the deviations are free.

    The logarithms of the standard deviations are parameters of their own and do not depend on the observation.
    Densities are those of the unbounded action; the environment is given it clipped to the bounds of its space.

    Args:
        initial_log_std: logarithm of the initial standard deviation.
    """

    initial_log_std: float = 0.0

    def check(self, space: ActionSpace) -> None:
        """Needs continuous actions."""
        if not isinstance(space, Box):
            raise ValueError(f"DiagonalGaussian needs continuous actions; the environment has {space}")

    def num_outputs(self, space: Box) -> int:
        """A mean per element."""
        return math.prod(space.shape)

    def init(self, space: Box) -> dict[str, Array]:
        """The logarithms of the standard deviations."""
        return {"actor_log_std": jnp.full((math.prod(space.shape),), self.initial_log_std, jnp.float32)}

    def activity(self, params: Any) -> dict[str, Array]:
        """The standard deviations."""
        return {"actor_log_std": jnp.exp(jax.lax.stop_gradient(params["actor_log_std"]))}

    def noise(self, space: Box, key: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array, "..."]:
        """Standard normal variates."""
        return jax.random.normal(key, (*shape, math.prod(space.shape)), jnp.float32)

    def sample(self, params: Any, outputs: Float[Array, " n"], noise: Float[Array, " n"]) -> Float[Array, " n"]:
        """The mean and so many standard deviations."""
        return outputs + jnp.exp(params["actor_log_std"]) * noise

    def mode(self, params: Any, outputs: Float[Array, " n"]) -> Float[Array, " n"]:
        """The mean."""
        del params  # unused: the mode does not depend on the deviations
        return outputs

    def log_prob(self, params: Any, outputs: Float[Array, " n"], action: Float[Array, " n"]) -> Float[Array, ""]:
        """The logarithm of the density."""
        standard = (action - outputs) * jnp.exp(-params["actor_log_std"])
        return -jnp.sum(0.5 * standard**2 + params["actor_log_std"] + 0.5 * LOG_2_PI)

    def entropy(self, params: Any, outputs: Float[Array, " n"]) -> Float[Array, ""]:
        """Of the unbounded action."""
        del outputs  # unused: the entropy does not depend on the mean
        return jnp.sum(params["actor_log_std"] + 0.5 + 0.5 * LOG_2_PI)


def default_policy(space: ActionSpace) -> Policy:
    """Categorical for discrete actions, Gaussian for continuous ones."""
    return Categorical() if isinstance(space, Discrete) else DiagonalGaussian()


POLICIES: dict[str, type[Policy]] = {policy.__name__: policy for policy in (Categorical, DiagonalGaussian)}
"""Policies by name."""
