"""Torsos and heads: the network of an agent that has whatever outputs an objective declares."""

import abc
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from heurax.inner.activity import report
from heurax.inner.networks import ACTIVATIONS, Activation, Network
from heurax.rules import Head, Outputs

__all__ = ["TORSOS", "ConvTorso", "HeadedNetwork", "MLPTorso", "TableTorso", "Torso"]

HEAD_STD = 0.01
"""Of the weights of the heads, so that fresh agents act and predict nearly uniformly."""


class Torso(abc.ABC):
    """Describes what an agent's heads share: from an observation to features; a frozen dataclass."""

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Raise ValueError if it cannot look at observations of a shape; by default none is refused."""
        del observation_shape  # unused: any will do

    @property
    def is_table(self) -> bool:
        """Whether the features are those of a table, one for each state; heads then start at 0 and have no biases."""
        return False

    @abc.abstractmethod
    def module(self) -> nn.Module:
        """The flax module, written for one observation: it returns features, `[features]`."""


@dataclass(frozen=True)
class MLPTorso(Torso):
    """A multi-layer perceptron on the flattened observation: vectors and small grids.

    Args:
        hidden_sizes: units of its layers; every one >= 1.
        activation: tanh, relu, silu or gelu.
    """

    hidden_sizes: tuple[int, ...] = (64, 64)
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        _check_sizes("hidden_sizes", self.hidden_sizes)

    def module(self) -> nn.Module:
        """The perceptron."""
        return _Layers((), self.hidden_sizes, self.activation)


@dataclass(frozen=True)
class ConvTorso(Torso):
    """Convolutions, then a perceptron; observations are images `[height, width, channels]`.

    Args:
        channels: of each 3x3 convolution, stride 1, padded to keep the size; every one >= 1.
        hidden_sizes: units of the layers after them; every one >= 1.
        activation: tanh, relu, silu or gelu.
    """

    channels: tuple[int, ...] = (16,)
    hidden_sizes: tuple[int, ...] = (128,)
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        _check_sizes("channels", self.channels)
        _check_sizes("hidden_sizes", self.hidden_sizes)

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Needs images."""
        if len(observation_shape) != 3:
            raise ValueError(f"ConvTorso needs observations [height, width, channels], got {list(observation_shape)}")

    def module(self) -> nn.Module:
        """The convolutions and the perceptron."""
        return _Layers(self.channels, self.hidden_sizes, self.activation)


@dataclass(frozen=True)
class TableTorso(Torso):
    """A row per state, for observations that are a state's number: heads are tables, which start at 0.

    Args:
        num_states: rows; >= 1. Observations are scalars, 0 to num_states - 1.
    """

    num_states: int

    def __post_init__(self) -> None:
        _check_sizes("num_states", (self.num_states,))

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Needs scalars."""
        if observation_shape:
            raise ValueError(f"TableTorso needs the number of a state, got observations {list(observation_shape)}")

    @property
    def is_table(self) -> bool:
        """It is."""
        return True

    def module(self) -> nn.Module:
        """One-hot rows."""
        return _OneHot(self.num_states)


@dataclass(frozen=True)
class HeadedNetwork(Network):
    """A torso with the heads that an objective declares, or with some of them, on the same parameters.

    Heads are linear. With an action model, those per action are perceptrons on what a long short-term memory, begun
    from the features, makes of each action, as in Muesli and in the agents of disco_rl.

    Args:
        torso: what the heads share.
        heads: what is computed; the first is the policy's logits.
        num_actions: >= 1.
        action_model: units of the action model; >= 1, or None for linear heads.
    """

    torso: Torso
    heads: tuple[Head, ...]
    num_actions: int
    action_model: int | None = None

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Whatever the torso can look at."""
        self.torso.check(observation_shape)

    def module(self, num_outputs: int) -> nn.Module:
        """The policy's logits alone, as an actor needs them; its value is 0: objectives have values of their own."""
        del num_outputs  # unused: as many as there are actions
        return _Actor(self)

    def learner(self) -> nn.Module:
        """All heads, from one observation to `Outputs`."""
        return _Heads(self)


class _Layers(nn.Module):
    channels: tuple[int, ...]
    hidden_sizes: tuple[int, ...]
    activation: Activation

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        x = observation
        for i, size in enumerate(self.channels):
            convolution = nn.Conv(size, (3, 3), name=f"convolution_{i}")
            x = report(convolution, ACTIVATIONS[self.activation](convolution(x)))
        x = x.ravel()
        for i, size in enumerate(self.hidden_sizes):
            layer = nn.Dense(size, name=f"layer_{i}")
            x = report(layer, ACTIVATIONS[self.activation](layer(x)))
        return x


class _OneHot(nn.Module):
    num_states: int

    def __call__(self, observation: Array) -> Array:
        return jax.nn.one_hot(observation.astype(jnp.int32), self.num_states, dtype=jnp.float32)


class _Heads(nn.Module):
    network: HeadedNetwork

    @nn.compact
    def __call__(self, observation: Array) -> Outputs:
        network, num_actions = self.network, self.network.num_actions
        features = network.torso.module().clone(name="actor_torso", parent=self)(observation)
        outputs, for_actions = {}, None
        for head in network.heads:
            name = f"actor_{head.name}" if head is network.heads[0] else f"critic_{head.name}"
            if head.per_action and network.action_model is not None:
                if for_actions is None:
                    for_actions = _ActionModel(network.action_model, num_actions, name="critic_actions")(features)
                layer, last = nn.Dense(network.action_model, name=f"{name}_hidden"), nn.Dense(head.size, name=name)
                hidden = report(layer, jax.nn.relu(layer(for_actions)))
                outputs[head.name] = report(last, last(hidden))
            else:
                shape = head.shape(num_actions)
                size = num_actions * head.size if head.per_action else head.size
                last = self._linear(size, name)
                outputs[head.name] = report(last, last(features)).reshape(shape)
        return outputs

    def _linear(self, size: int, name: str) -> nn.Dense:
        if self.network.torso.is_table:
            return nn.Dense(size, use_bias=False, kernel_init=nn.initializers.zeros, name=name)
        return nn.Dense(size, kernel_init=nn.initializers.truncated_normal(HEAD_STD), name=name)


class _Actor(nn.Module):
    network: HeadedNetwork

    @nn.compact
    def __call__(self, memory: Any, observation: Array) -> tuple[Any, Array, Array]:
        heads = _Heads(self.network)
        nn.share_scope(self, heads)
        logits = heads(observation)[self.network.heads[0].name]
        return memory, logits, jnp.zeros([], logits.dtype)


class _ActionModel(nn.Module):
    """One step of a long short-term memory per action, from a state made of the features: `[actions, size]`."""

    size: int
    num_actions: int

    @nn.compact
    def __call__(self, features: Float[Array, " features"]) -> Float[Array, "actions size"]:
        cell = nn.Dense(self.size, name="cell")(features)
        of_state = nn.Dense(4 * self.size, name="gates")(jnp.tanh(cell))
        of_action = self.param("actions", nn.initializers.lecun_normal(), (self.num_actions, 4 * self.size))
        i, g, f, o = jnp.split(of_action + jnp.broadcast_to(of_state, of_action.shape), 4, axis=-1)
        cell = jax.nn.sigmoid(f + 1) * jnp.broadcast_to(cell, f.shape) + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(cell)


def _check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} must be >= 1, got {sizes if len(sizes) != 1 else sizes[0]}")


TORSOS: dict[str, type[Torso]] = {torso.__name__: torso for torso in (ConvTorso, MLPTorso, TableTorso)}
"""Torsos by name."""
