"""LPG: a backward recurrent network tells an agent how to move its policy and what to predict."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from heurax.rules.objectives.base import LOGITS, Head, ObjectiveRule, Outputs, Trajectory, chosen
from heurax.rules.objectives.layers import init_linear, init_mlp, kl_divergence, linear, mlp, reverse_scan

__all__ = ["LPG", "LPGTargets", "TemporallyAwareLPG", "lpg_inputs", "lpg_network"]

NUM_INPUTS = 5


class LPGTargets(NamedTuple):
    """What the network emits for every step.

    Attributes:
        policy: `pi_hat`, by which the log-probability of the action is to grow.
        prediction: the logits of `y_hat`, to which the prediction is to move.
    """

    policy: Float[Array, "time batch"]
    prediction: Float[Array, "time batch prediction"]


@dataclass(frozen=True)
class LPG(ObjectiveRule):
    """Learned policy gradient.

    The agent has a policy pi and a categorical prediction y, whose meaning is discovered. A gated recurrent unit reads
    a trajectory backwards, at every step `[r, d, pi(a | s), e(y(s)), e(y(s'))]` with the end of the episode d, by which
    it is reset and e(y(s')) is 0, and an embedding e; it emits pi_hat and the distribution y_hat. The agent minimises

        -log pi(a | s) pi_hat + prediction_weight * KL(y(s) || y_hat).

    It needs no state of its own: `init_state` is the empty tuple. As regulariser, meta-training adds
    `policy_penalty * mean pi_hat^2 + prediction_penalty * mean ||y_hat||^2 - prediction_entropy * mean H(y)`.

    Source: Oh et al. 2020, arXiv:2007.08794; the unit, the defaults of weights and penalties, and the input without
    discount, which is constant, from the code of GROOVE (Jackson et al. 2023, arXiv:2310.02782). Departure from that
    code: it minimises `+log pi(a | s) pi_hat`; the sign is learned.

    Args:
        prediction_size: categories of y; >= 2. 30 in the paper, 8 in GROOVE.
        hidden_size: of the recurrent unit; >= 1.
        embedding_size: hidden units of e; >= 1.
        prediction_weight: > 0.
        policy_penalty: >= 0.
        prediction_penalty: >= 0.
        prediction_entropy: >= 0.

    >>> rule = LPG(prediction_size=8, hidden_size=32)
    >>> sum(leaf.size for leaf in jax.tree.leaves(rule.init(jax.random.key(0))))
    4138
    """

    prediction_size: int = 8
    hidden_size: int = 256
    embedding_size: int = 16
    prediction_weight: float = 0.5
    policy_penalty: float = 0.005
    prediction_penalty: float = 0.001
    prediction_entropy: float = 0.001

    def __post_init__(self) -> None:
        _validate(self)

    def heads(self, num_actions: int) -> tuple[Head, ...]:
        """The policy and the prediction."""
        return _heads(self, num_actions)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Random weights."""
        return _init(self, key, NUM_INPUTS)

    def init_state(self, theta: Any) -> tuple[()]:
        """Nothing is remembered."""
        del theta  # unused: there is no state
        return ()

    def targets(self, theta: Any, state: Any, trajectory: Trajectory) -> tuple[LPGTargets, Any]:
        """One pass of the network; see `ObjectiveRule.targets`."""
        return lpg_network(theta, _read(theta, trajectory), trajectory.ended), state

    def loss(
        self, outputs: Outputs, trajectory: Trajectory, targets: LPGTargets
    ) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
        """See the class."""
        return _loss(self, outputs, trajectory, targets)


@dataclass(frozen=True)
class TemporallyAwareLPG(ObjectiveRule):
    """LPG whose network also reads how far training is and how long it will be.

    After update n of N, its inputs are LPG's and `n / N, log N`; with `raw` they are `n, N`, which is what the public
    code feeds under the names of relative step and log lifetime.

    Source: Jackson et al. 2024, arXiv:2402.05828; with the departure of `LPG`.

    Args:
        prediction_size: as in `LPG`.
        hidden_size: as in `LPG`.
        embedding_size: as in `LPG`.
        prediction_weight: as in `LPG`.
        policy_penalty: as in `LPG`.
        prediction_penalty: as in `LPG`.
        prediction_entropy: as in `LPG`.
        raw: whether the network reads n and N as they are.

    >>> rule = TemporallyAwareLPG(prediction_size=8, hidden_size=32)
    >>> sum(leaf.size for leaf in jax.tree.leaves(rule.init(jax.random.key(0))))
    4330
    """

    prediction_size: int = 8
    hidden_size: int = 256
    embedding_size: int = 16
    prediction_weight: float = 0.5
    policy_penalty: float = 0.005
    prediction_penalty: float = 0.001
    prediction_entropy: float = 0.001
    raw: bool = False

    def __post_init__(self) -> None:
        _validate(self)

    def heads(self, num_actions: int) -> tuple[Head, ...]:
        """The policy and the prediction."""
        return _heads(self, num_actions)

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Random weights."""
        return _init(self, key, NUM_INPUTS + 2)

    def init_state(self, theta: Any) -> tuple[()]:
        """Nothing is remembered: the loop tells the rule what time it is."""
        del theta  # unused: there is no state
        return ()

    def targets(self, theta: Any, state: Any, trajectory: Trajectory) -> tuple[LPGTargets, Any]:
        """One pass of the network; see `ObjectiveRule.targets`."""
        x = _read(theta, trajectory)
        n, horizon = trajectory.step, trajectory.num_steps
        time = jnp.stack([n, horizon] if self.raw else [n / horizon, jnp.log(horizon)]).astype(x.dtype)
        x = jnp.concatenate([x, jnp.broadcast_to(time, (*x.shape[:2], 2))], axis=-1)
        return lpg_network(theta, x, trajectory.ended), state

    def loss(
        self, outputs: Outputs, trajectory: Trajectory, targets: LPGTargets
    ) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
        """As in `LPG`."""
        return _loss(self, outputs, trajectory, targets)


def lpg_inputs(
    theta: Any,
    reward: Float[Array, "time batch"],
    ended: Bool[Array, "time batch"],
    probability: Float[Array, "time batch"],
    y: Float[Array, "time batch prediction"],
    y_after: Float[Array, "time batch prediction"],
) -> Float[Array, "time batch inputs"]:
    """`[r, d, pi(a | s), e(y(s)), e(y(s'))]`, the predictions as probabilities."""
    before, after = (mlp(theta["embedding"], x)[..., 0] for x in (y, y_after))
    after = jnp.where(ended, 0.0, after)
    return jnp.stack([reward, ended.astype(reward.dtype), probability, before, after], axis=-1)


def lpg_network(theta: Any, x: Float[Array, "time batch inputs"], ended: Array) -> LPGTargets:
    """The recurrent unit over the inputs, backwards, and the two linear heads on its rectified outputs.

    r, z = sigmoid(x u_r + h w_r), sigmoid(x u_z + h w_z)
    n = tanh(x u_n + r (h w_n + c))
    h' = (1 - z) n + z h
    """
    unit = theta["unit"]
    gates = linear(unit["input"], x)

    def step(hidden: Array, gates: Array) -> tuple[Array, Array]:
        reset, keep, candidate = jnp.split(gates, 3, axis=-1)
        recurrent_reset, recurrent_keep, recurrent = jnp.split(hidden @ unit["hidden"], 3, axis=-1)
        reset, keep = jax.nn.sigmoid(reset + recurrent_reset), jax.nn.sigmoid(keep + recurrent_keep)
        recurrent += jnp.broadcast_to(unit["hidden_bias"], recurrent.shape)
        hidden = (1 - keep) * jnp.tanh(candidate + reset * recurrent) + keep * hidden
        return hidden, hidden

    initial = jnp.zeros((x.shape[1], unit["hidden_bias"].shape[0]), x.dtype)
    hidden = jax.nn.relu(reverse_scan(step, initial, gates, ended))
    return LPGTargets(linear(theta["policy"], hidden)[..., 0], linear(theta["prediction"], hidden))


def _validate(rule: Any) -> None:
    for name, least in (("prediction_size", 2), ("hidden_size", 1), ("embedding_size", 1)):
        if getattr(rule, name) < least:
            raise ValueError(f"{name} must be >= {least}, got {getattr(rule, name)}")
    if not rule.prediction_weight > 0:
        raise ValueError(f"prediction_weight must be > 0, got {rule.prediction_weight}")
    for name in ("policy_penalty", "prediction_penalty", "prediction_entropy"):
        if not getattr(rule, name) >= 0:
            raise ValueError(f"{name} must be >= 0, got {getattr(rule, name)}")


def _heads(rule: Any, num_actions: int) -> tuple[Head, ...]:
    return Head(LOGITS, num_actions), Head("y", rule.prediction_size)


def _init(rule: Any, key: Key[Array, ""], num_inputs: int) -> dict[str, Any]:
    key_embedding, key_input, key_hidden, key_policy, key_prediction = jax.random.split(key, 5)
    size = rule.hidden_size
    orthogonal = jax.nn.initializers.orthogonal()
    hidden = [orthogonal(key_gate, (size, size), jnp.float32) for key_gate in jax.random.split(key_hidden, 3)]
    return {
        "embedding": init_mlp(key_embedding, (rule.prediction_size, rule.embedding_size, 1)),
        "unit": {
            "input": init_linear(key_input, num_inputs, 3 * size),
            "hidden": jnp.concatenate(hidden, axis=1),
            "hidden_bias": jnp.zeros((size,), jnp.float32),
        },
        "policy": init_linear(key_policy, size, 1),
        "prediction": init_linear(key_prediction, size, rule.prediction_size),
    }


def _read(theta: Any, trajectory: Trajectory) -> Float[Array, "time batch inputs"]:
    """The inputs of a trajectory, through which no gradient reaches the agent."""
    logits, y = (jax.nn.softmax(jax.lax.stop_gradient(trajectory.outputs[name])) for name in (LOGITS, "y"))
    probability = chosen(logits[:-1], trajectory.action)
    return lpg_inputs(theta, trajectory.reward, trajectory.ended, probability, y[:-1], y[1:])


def _loss(
    rule: Any, outputs: Outputs, trajectory: Trajectory, targets: LPGTargets
) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
    y = outputs["y"][:-1]
    log_prob = chosen(jax.nn.log_softmax(outputs[LOGITS][:-1]), trajectory.action)
    prediction_loss = kl_divergence(y, targets.prediction)
    policy_size = jnp.mean(targets.policy**2)
    prediction_size = jnp.mean(jnp.sum(jax.nn.softmax(targets.prediction) ** 2, axis=-1))
    entropy = math.log(rule.prediction_size) - jnp.mean(kl_divergence(y, jnp.zeros_like(y)))
    regulariser = rule.policy_penalty * policy_size + rule.prediction_penalty * prediction_size
    return -log_prob * targets.policy + rule.prediction_weight * prediction_loss, {
        "prediction_loss": jnp.mean(prediction_loss),
        "policy_target_size": jnp.sqrt(policy_size),
        "prediction_entropy": entropy,
        "regulariser": regulariser - rule.prediction_entropy * entropy,
    }
