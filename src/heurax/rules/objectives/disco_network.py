"""Disco's meta-network: what it reads of a trajectory, the backward network over it, and the one over a lifetime."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.objectives.base import LOGITS, Trajectory, chosen
from heurax.rules.objectives.layers import init_linear, init_mlp, linear, mlp, reverse_scan
from heurax.rules.objectives.returns import signed_log

__all__ = ["Estimates", "LifetimeState", "MetaTargets", "init_networks", "meta_network"]

NUM_SCALARS = 23
"""Of a step, before those of its actions: see `_read`."""

NUM_ACTION_FEATURES = 9
"""Of an action of a step: see `_read`."""


class Estimates(NamedTuple):
    """What the value side makes of a trajectory.

    Attributes:
        value: of every state, by the agent's own action values, `[time + 1, batch]`.
        target_action_value: of every action, by the target network's, `[time + 1, batch, actions]`.
        returns: Retrace's, of the actions taken, `[time, batch]`.
        advantage: of the actions taken, `returns` less the target network's values.
        normalised_advantage: likewise, standardised by moving averages.
        action_advantage: of every action, `[time + 1, batch, actions]`.
        normalised_action_advantage: likewise, standardised.
        action_value: of every action, by the agent's own, `[time + 1, batch, actions]`.
        error: of the agent's action values, `[time, batch]`.
        normalised_error: likewise, divided by its moving deviation.
    """

    value: Float[Array, "time1 batch"]
    target_action_value: Float[Array, "time1 batch actions"]
    returns: Float[Array, "time batch"]
    advantage: Float[Array, "time batch"]
    normalised_advantage: Float[Array, "time batch"]
    action_advantage: Float[Array, "time1 batch actions"]
    normalised_action_advantage: Float[Array, "time1 batch actions"]
    action_value: Float[Array, "time1 batch actions"]
    error: Float[Array, "time batch"]
    normalised_error: Float[Array, "time batch"]


class MetaTargets(NamedTuple):
    """Targets, all as logits."""

    policy: Float[Array, "time batch actions"]
    y: Float[Array, "time batch prediction"]
    z: Float[Array, "time batch prediction"]


class LifetimeState(NamedTuple):
    """State of the network over a lifetime."""

    hidden: Float[Array, " lifetime"]
    cell: Float[Array, " lifetime"]


def init_networks(
    key: Key[Array, ""], prediction_size: int, hidden_size: int, lifetime_size: int, embedding_size: int
) -> dict[str, Any]:
    """Random weights of both networks; the deviations are those of the published code."""
    keys = iter(jax.random.split(key, 17))
    features = NUM_SCALARS + 4  # two numbers of the actions' embedding, over all actions and for the one taken

    def reader() -> dict[str, Any]:
        return {
            "y": init_mlp(next(keys), (prediction_size, embedding_size, 1)),
            "z": init_mlp(next(keys), (prediction_size, embedding_size, 1)),
            "actions": [
                init_linear(next(keys), 2 * NUM_ACTION_FEATURES, embedding_size),
                init_linear(next(keys), 2 * embedding_size, 2),
            ],
        }

    return {
        "reader": reader(),
        "lstm": init_linear(next(keys), features + hidden_size, 4 * hidden_size),
        "gate": init_linear(next(keys), lifetime_size, hidden_size, std=1.0),
        "summary": init_linear(next(keys), hidden_size, 1, std=0.3),
        "y_target": init_linear(next(keys), hidden_size, prediction_size, std=0.3),
        "z_target": init_linear(next(keys), hidden_size, prediction_size, std=0.3),
        "policy_target": [
            init_linear(next(keys), 2 * (hidden_size + 2), embedding_size),
            init_linear(next(keys), embedding_size, 1, std=0.3),
        ],
        "lifetime": {
            "reader": reader(),
            "embedding": init_linear(next(keys), features + 2, embedding_size),
            "lstm": init_linear(next(keys), embedding_size + lifetime_size, 4 * lifetime_size),
        },
    }


def meta_network(
    theta: Any, state: LifetimeState, trajectory: Trajectory, estimates: Estimates
) -> tuple[MetaTargets, LifetimeState]:
    """Targets for a trajectory, and the state of the lifetime after it.

    A long short-term memory reads the trajectory backwards; its outputs are multiplied by a linear function of the
    lifetime's state, from which linear heads make the targets `y` and `z`, and convolutions over the actions the
    policy's. The lifetime's memory then makes one step, on the mean over the batch of what both read and wrote.
    """
    x, of_actions = _read(theta["reader"], trajectory, estimates)
    zeros = jnp.zeros((x.shape[1], theta["gate"]["b"].shape[0]), x.dtype)
    x = reverse_scan(lambda s, x: _lstm(theta["lstm"], x, s), (zeros, zeros), x, trajectory.ended)
    x = x * jnp.broadcast_to(linear(theta["gate"], state.hidden), x.shape)
    for_actions = jnp.broadcast_to(x[:, :, None], (*of_actions.shape[:3], x.shape[-1]))
    mix, head = theta["policy_target"]
    policy = linear(head, _mix_actions([mix], jnp.concatenate([for_actions, of_actions], axis=-1)))[..., 0]
    targets = MetaTargets(policy, linear(theta["y_target"], x), linear(theta["z_target"], x))

    lifetime = theta["lifetime"]
    read, _ = _read(lifetime["reader"], trajectory, estimates)
    y = mlp(lifetime["reader"]["y"], jax.nn.softmax(targets.y))
    read = jnp.concatenate([read, linear(theta["summary"], x), y], axis=-1)
    embedded = jnp.mean(linear(lifetime["embedding"], read), axis=(0, 1))
    new_state, _ = _lstm(lifetime["lstm"], embedded, state)
    return targets, LifetimeState(*new_state)


def _read(reader: Any, trajectory: Trajectory, estimates: Estimates) -> tuple[Array, Array]:
    """All that is known of every step, `[time, batch, 27]`, and the embedding of its actions, `[..., actions, 2]`."""
    action, detach = trajectory.action, jax.lax.stop_gradient
    estimates = detach(estimates)
    policy, target_policy = (
        detach(jax.nn.softmax(outputs[LOGITS])) for outputs in (trajectory.outputs, trajectory.target_outputs)
    )
    behaviour = detach(jax.nn.softmax(trajectory.behaviour_logits))
    y, target_y = (
        mlp(reader["y"], jax.nn.softmax(outputs["y"]))[..., 0]
        for outputs in (trajectory.outputs, trajectory.target_outputs)
    )
    z, target_z = (
        mlp(reader["z"], jax.nn.softmax(outputs["z"]))[..., 0]
        for outputs in (trajectory.outputs, trajectory.target_outputs)
    )
    scalars = [
        chosen(policy[:-1], action),
        chosen(behaviour, action),
        signed_log(trajectory.reward),
        1.0 - trajectory.ended.astype(policy.dtype),
        *_pair(signed_log(estimates.value)),
        signed_log(estimates.advantage),
        estimates.normalised_advantage,
        chosen(target_policy[:-1], action),
        *_pair(y),
        *_pair(target_y),
    ]
    for of_actions in (z, target_z):
        scalars.append(chosen(of_actions[:-1], action))
        scalars += [*_pair(jnp.sum(policy * of_actions, axis=-1)), *_pair(jnp.max(of_actions, axis=-1))]

    num_actions = policy.shape[-1]
    per_action = [
        policy[:-1],
        behaviour,
        target_policy[:-1],
        z[:-1],
        target_z[:-1],
        signed_log(estimates.target_action_value)[:-1],
        signed_log(estimates.action_advantage)[:-1],
        estimates.normalised_action_advantage[:-1],
        jax.nn.one_hot(action, num_actions, dtype=policy.dtype),
    ]
    embedded = _mix_actions(reader["actions"], jnp.stack(per_action, axis=-1))
    parts = [jnp.stack(scalars, axis=-1), jnp.mean(embedded, axis=2), chosen(embedded, action)]
    return jnp.concatenate(parts, axis=-1), embedded


def _pair(x: Float[Array, "time1 batch"]) -> tuple[Array, Array]:
    """Before and after each step."""
    return x[:-1], x[1:]


def _mix_actions(layers: Sequence[Any], x: Float[Array, "time batch actions n"]) -> Float[Array, "..."]:
    """Layers that see each action beside the mean over all of them, each with a ReLU."""
    for layer in layers:
        mean = jnp.broadcast_to(jnp.mean(x, axis=2, keepdims=True), x.shape)
        x = jax.nn.relu(linear(layer, jnp.concatenate([x, mean], axis=-1)))
    return x


def _lstm(layer: Any, x: Array, state: Any) -> tuple[tuple[Array, Array], Array]:
    """One step of a long short-term memory with forget bias 1: the state, and its output.

    i, g, f, o = split([x, h] w + b)
    c' = sigmoid(f + 1) c + sigmoid(i) tanh(g)
    h' = sigmoid(o) tanh(c')
    """
    hidden, cell = state
    i, g, f, o = jnp.split(linear(layer, jnp.concatenate([x, hidden], axis=-1)), 4, axis=-1)
    cell = jax.nn.sigmoid(f + 1) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
    hidden = jax.nn.sigmoid(o) * jnp.tanh(cell)
    return (hidden, cell), hidden
