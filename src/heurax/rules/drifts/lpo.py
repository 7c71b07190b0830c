"""LPO: a small network as drift, with and without training progress among its inputs."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.drifts.base import Drift, DriftFunction
from heurax.rules.drifts.ppo_clip import PPOClip

__all__ = ["LPO", "TemporallyAwareLPO"]

THRESHOLD = 1e-4
NUM_FEATURES = 8


@dataclass(frozen=True)
class LPO(Drift):
    """Learned policy optimisation: `f = relu(net(x) - 1e-4)`, with tanh between two layers without biases.

    The inputs are `d, d^2, 1 - r, (1 - r)^2` with `d = log r`, and the same four times A. All are 0 at ratio 1, and so
    is the network, which has no biases; the threshold then keeps a neighbourhood of ratio 1 free of drift: (D1) to (D3)
    hold for every `theta`. With `ppo_epsilon` the drift is `relu(f_PPO + net(x) - 1e-4)`, a correction of PPO's.

    Source: Lu et al. 2022, arXiv:2210.05639. Departure: the output layer starts at zero, so that a fresh rule is no
    drift, or PPO's, exactly.

    Args:
        hidden_size: units of the hidden layer; >= 1. 1,152 meta-parameters for 128.
        ppo_epsilon: of the PPO drift that the network corrects; > 0, or None for a drift from nothing.

    >>> rule = LPO()
    >>> drift = rule.drift(rule.init(jax.random.key(0)))
    >>> float(drift(jnp.log(2.0), jnp.float32(2.0), jnp.float32(0.0)))
    0.0
    """

    hidden_size: int = 128
    ppo_epsilon: float | None = None

    def __post_init__(self) -> None:
        _validate(self.hidden_size, self.ppo_epsilon)

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, "..."]]:
        """A random hidden layer and an output layer of zeros."""
        return _init(key, NUM_FEATURES, self.hidden_size)

    def drift(self, theta: Any) -> DriftFunction:
        """The network's drift, which does not vary over training; see `Drift.drift`."""

        def drift(
            log_ratio: Float[Array, "..."], advantage: Float[Array, "..."], progress: Float[Array, "..."]
        ) -> Float[Array, "..."]:
            log_ratio, advantage, _ = jnp.broadcast_arrays(log_ratio, advantage, progress)
            return _drift(theta, _features(log_ratio, advantage), log_ratio, advantage, self.ppo_epsilon)

        return drift


@dataclass(frozen=True)
class TemporallyAwareLPO(Drift):
    """LPO whose drift may change over training: the inputs are `[x, (n / N) x]` with LPO's eight numbers `x`.

    `n / N` is training progress. All inputs still vanish at ratio 1, so that (D1) to (D3) hold at all times.

    Source: Jackson et al. 2024, arXiv:2402.05828, with the departure of `LPO`.

    Args:
        hidden_size: units of the hidden layer; >= 1. 2,176 meta-parameters for 128.
        ppo_epsilon: as in `LPO`.

    >>> rule = TemporallyAwareLPO(hidden_size=16)
    >>> sum(x.size for x in jax.tree.leaves(rule.init(jax.random.key(0))))
    272
    """

    hidden_size: int = 128
    ppo_epsilon: float | None = None

    def __post_init__(self) -> None:
        _validate(self.hidden_size, self.ppo_epsilon)

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, "..."]]:
        """A random hidden layer and an output layer of zeros."""
        return _init(key, 2 * NUM_FEATURES, self.hidden_size)

    def drift(self, theta: Any) -> DriftFunction:
        """The network's drift, which varies with progress; see `Drift.drift`."""

        def drift(
            log_ratio: Float[Array, "..."], advantage: Float[Array, "..."], progress: Float[Array, "..."]
        ) -> Float[Array, "..."]:
            log_ratio, advantage, progress = jnp.broadcast_arrays(log_ratio, advantage, progress)
            x = _features(log_ratio, advantage)
            x = jnp.concatenate([x, progress[..., None] * x], axis=-1)
            return _drift(theta, x, log_ratio, advantage, self.ppo_epsilon)

        return drift


def _validate(hidden_size: int, ppo_epsilon: float | None) -> None:
    if hidden_size < 1:
        raise ValueError(f"hidden_size must be >= 1, got {hidden_size}")
    if ppo_epsilon is not None and not ppo_epsilon > 0:
        raise ValueError(f"ppo_epsilon must be > 0, got {ppo_epsilon}")


def _init(key: Key[Array, ""], num_features: int, hidden_size: int) -> dict[str, Float[Array, "..."]]:
    hidden = jax.nn.initializers.lecun_normal()(key, (num_features, hidden_size), jnp.float32)
    return {"hidden": hidden, "out": jnp.zeros((hidden_size, 1), jnp.float32)}


def _features(log_ratio: Float[Array, "..."], advantage: Float[Array, "..."]) -> Float[Array, "... 8"]:
    gap = -jnp.expm1(log_ratio)
    x = jnp.stack([log_ratio, log_ratio**2, gap, gap**2], axis=-1)
    return jnp.concatenate([x, advantage[..., None] * x], axis=-1)


def _drift(
    theta: Any,
    x: Float[Array, "... features"],
    log_ratio: Float[Array, "..."],
    advantage: Float[Array, "..."],
    ppo_epsilon: float | None,
) -> Float[Array, "..."]:
    hidden = jnp.tanh(x @ theta["hidden"].astype(x.dtype))
    net = (hidden @ theta["out"].astype(x.dtype))[..., 0]
    if ppo_epsilon is not None:
        net += PPOClip(ppo_epsilon).evaluate(log_ratio, advantage)
    return jax.nn.relu(net - THRESHOLD)
