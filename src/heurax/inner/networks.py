"""Networks of reinforcement-learning agents: from an observation to what a policy needs and to a value."""

import abc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.inner.activity import report

__all__ = [
    "ACTIVATIONS",
    "NETWORKS",
    "Activation",
    "ConvNetwork",
    "GRUNetwork",
    "MLPNetwork",
    "Network",
    "TabularNetwork",
]

Activation = Literal["tanh", "relu", "silu", "gelu"]
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
}


class Network(abc.ABC):
    """Describes a network with a policy head and a value head; a frozen dataclass.

    Heads and layers are initialised orthogonally: gain sqrt(2) for hidden layers, 0.01 for the policy, 1 for the value,
    biases 0, as is usual for PPO (Engstrom et al. 2020, arXiv:2005.12729).
    """

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Raise ValueError if this network cannot look at observations of a shape; by default none is refused."""
        del observation_shape  # unused: any will do

    @abc.abstractmethod
    def module(self, num_outputs: int) -> nn.Module:
        """The flax module, written for one observation.

        It is called with (memory, observation) and returns (memory, outputs `[num_outputs]`, value `[]`).
        """

    @property
    def has_memory(self) -> bool:
        """Whether something is carried from step to step."""
        return False

    def initial_memory(self) -> Any:
        """The memory at the beginning of an episode: a tree of arrays, empty for a network without."""
        return ()


@dataclass(frozen=True)
class MLPNetwork(Network):
    """Two multi-layer perceptrons, one for the policy and one for the value. Observations are flattened.

    Args:
        hidden_sizes: units of the hidden layers of each; every one >= 1.
        activation: tanh, relu, silu or gelu.
    """

    hidden_sizes: tuple[int, ...] = (64, 64)
    activation: Activation = "tanh"

    def __post_init__(self) -> None:
        _check_sizes("hidden_sizes", self.hidden_sizes)

    def module(self, num_outputs: int) -> nn.Module:
        """The two perceptrons."""
        return _MLP(self, num_outputs)


@dataclass(frozen=True)
class ConvNetwork(Network):
    """Convolutions that policy and value share, then a perceptron for each; observations `[height, width, channels]`.

    Args:
        channels: of each 3x3 convolution, stride 1, no padding.
        hidden_sizes: units of the hidden layers of each perceptron.
        activation: tanh, relu, silu or gelu.
    """

    channels: tuple[int, ...] = (16,)
    hidden_sizes: tuple[int, ...] = (128,)
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        _check_sizes("channels", self.channels)
        _check_sizes("hidden_sizes", self.hidden_sizes)

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Needs images, large enough for all convolutions."""
        if len(observation_shape) != 3:
            raise ValueError(f"ConvNetwork needs observations [height, width, channels], got {list(observation_shape)}")
        if min(observation_shape[:2]) <= 2 * len(self.channels):
            raise ValueError(
                f"channels must be fewer convolutions for observations of {observation_shape[0]} x "
                f"{observation_shape[1]}: each takes 2 off, got {len(self.channels)}"
            )

    def module(self, num_outputs: int) -> nn.Module:
        """The shared torso and the two heads."""
        return _Conv(self, num_outputs)


@dataclass(frozen=True)
class GRUNetwork(Network):
    """A dense layer, a gated recurrent unit, and a hidden layer for each head: an agent with memory.

    Args:
        hidden_size: units of every layer, and of the memory; >= 1.
        activation: tanh, relu, silu or gelu.
    """

    hidden_size: int = 128
    activation: Activation = "relu"

    def __post_init__(self) -> None:
        _check_sizes("hidden_size", (self.hidden_size,))

    @property
    def has_memory(self) -> bool:
        """The state of the recurrent unit."""
        return True

    def initial_memory(self) -> Float[Array, " hidden"]:
        """Zeros."""
        return jnp.zeros((self.hidden_size,), jnp.float32)

    def module(self, num_outputs: int) -> nn.Module:
        """The recurrent unit between its layers."""
        return _GRU(self, num_outputs)


@dataclass(frozen=True)
class TabularNetwork(Network):
    """A table of outputs and one of values, with a row per state; for observations that are a state's number.

    Args:
        num_states: rows; >= 1. Observations are scalars, 0 to num_states - 1, such as those of `GridWorld` with
            observation "index", and `num_states` of its property of this name.
    """

    num_states: int

    def __post_init__(self) -> None:
        _check_sizes("num_states", (self.num_states,))

    def check(self, observation_shape: tuple[int, ...]) -> None:
        """Needs scalars."""
        if observation_shape:
            raise ValueError(f"TabularNetwork needs the number of a state, got observations {list(observation_shape)}")

    def module(self, num_outputs: int) -> nn.Module:
        """The two tables, which begin at zero."""
        return _Table(self, num_outputs)


class _Tower(nn.Module):
    """Hidden layers and a linear head."""

    hidden_sizes: tuple[int, ...]
    activation: Activation
    num_outputs: int
    gain: float

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for i, size in enumerate(self.hidden_sizes):
            layer = _dense(size, f"layer_{i}")
            x = report(layer, ACTIVATIONS[self.activation](layer(x)))
        head = _dense(self.num_outputs, "head", self.gain)
        return report(head, head(x))


class _MLP(nn.Module):
    network: MLPNetwork
    num_outputs: int

    @nn.compact
    def __call__(self, memory: Any, observation: Array) -> tuple[Any, Array, Array]:
        sizes, activation, x = self.network.hidden_sizes, self.network.activation, observation.ravel()
        actor, critic = _heads(sizes, activation, self.num_outputs)
        return memory, actor(x), critic(x)[0]


class _Table(nn.Module):
    network: TabularNetwork
    num_outputs: int

    @nn.compact
    def __call__(self, memory: Any, observation: Array) -> tuple[Any, Array, Array]:
        index = observation.astype(jnp.int32)
        rows = self.network.num_states
        actor = self.param("actor", nn.initializers.zeros, (rows, self.num_outputs), jnp.float32)
        critic = self.param("critic", nn.initializers.zeros, (rows,), jnp.float32)
        return memory, actor[index], critic[index]


class _Conv(nn.Module):
    network: ConvNetwork
    num_outputs: int

    @nn.compact
    def __call__(self, memory: Any, observation: Array) -> tuple[Any, Array, Array]:
        activation = ACTIVATIONS[self.network.activation]
        x = observation
        for i, channels in enumerate(self.network.channels):
            convolution = nn.Conv(
                channels, (3, 3), padding="VALID", kernel_init=_orthogonal(math.sqrt(2)), name=f"torso_{i}"
            )
            x = report(convolution, activation(convolution(x)))
        actor, critic = _heads(self.network.hidden_sizes, self.network.activation, self.num_outputs)
        return memory, actor(x.ravel()), critic(x.ravel())[0]


class _GRU(nn.Module):
    network: GRUNetwork
    num_outputs: int

    @nn.compact
    def __call__(self, memory: Any, observation: Array) -> tuple[Any, Array, Array]:
        size, activation = self.network.hidden_size, self.network.activation
        encoder = _dense(size, "encoder")
        x = report(encoder, ACTIVATIONS[activation](encoder(observation.ravel())))
        cell = nn.GRUCell(size, recurrent_kernel_init=_orthogonal(1.0), name="gru")
        memory, x = cell(memory, x)
        x = report(cell, x)
        actor, critic = _heads((size,), activation, self.num_outputs)
        return memory, actor(x), critic(x)[0]


def _heads(sizes: tuple[int, ...], activation: Activation, num_outputs: int) -> tuple[_Tower, _Tower]:
    """The actor's and the critic's towers, whose parameters are called so in every network."""
    return (
        _Tower(sizes, activation, num_outputs, 0.01, name="actor"),
        _Tower(sizes, activation, 1, 1.0, name="critic"),
    )


def _dense(size: int, name: str, gain: float = math.sqrt(2)) -> nn.Dense:
    return nn.Dense(size, kernel_init=_orthogonal(gain), name=name)


def _orthogonal(gain: float) -> Callable[..., Array]:
    """Orthogonal initialisation, one matrix after the other under `vmap`.

    On CPUs, jax 0.10.2 factorises batches of matrices in the thread pool that it waits in: two batches at once wait for
    each other for ever where there are two threads.
    """

    def draw(key: Key[Array, ""], shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        return jax.custom_batching.sequential_vmap(lambda key: nn.initializers.orthogonal(gain)(key, shape, dtype))(key)

    return draw


def _check_sizes(name: str, sizes: tuple[int, ...]) -> None:
    if any(size < 1 for size in sizes):
        raise ValueError(f"{name} must be >= 1, got {sizes if len(sizes) != 1 else sizes[0]}")


NETWORKS: dict[str, type[Network]] = {
    network.__name__: network for network in (ConvNetwork, GRUNetwork, MLPNetwork, TabularNetwork)
}
"""Networks by name."""
