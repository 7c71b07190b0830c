"""Disco: the update rule that was discovered by meta-learning over agents on many games."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.objectives.base import LOGITS, Head, ObjectiveRule, Outputs, Trajectory, chosen
from heurax.rules.objectives.disco_network import Estimates, LifetimeState, MetaTargets, init_networks, meta_network
from heurax.rules.objectives.layers import kl_divergence
from heurax.rules.objectives.returns import (
    MovingMoments,
    expected_value,
    initial_moments,
    multistep_returns,
    normalise,
    two_hot,
    update_moments,
)

__all__ = ["Disco", "DiscoState", "DiscoTargets"]

EPSILON = 1e-6
"""Added to the deviations by which advantages and errors are divided."""


class DiscoState(NamedTuple):
    """What the rule remembers of an agent's lifetime.

    Attributes:
        lifetime: the state of the network over the lifetime.
        advantage: moving averages of advantages.
        error: moving averages of the errors of action values.
    """

    lifetime: LifetimeState
    advantage: MovingMoments
    error: MovingMoments


class DiscoTargets(NamedTuple):
    """What the agent is to learn from a trajectory.

    Attributes:
        meta: the meta-network's targets.
        estimates: those of values and advantages.
    """

    meta: MetaTargets
    estimates: Estimates


@dataclass(frozen=True)
class Disco(ObjectiveRule):
    """DiscoRL's update rule: a meta-network sets the targets of a policy and of two predictions without given meaning.

    The agent has a policy pi(s), a prediction y(s), a prediction z(s, a), action values q(s, a) over `num_bins` bins,
    and a guess at its next policy p(s, a); all are logits. With the targets of the meta-network (`disco_network`), for
    the action a that was taken, it minimises

        policy_weight KL(pi_hat || pi) + y_weight KL(y_hat || y) + z_weight KL(z_hat || z_a)
        + next_policy_weight KL(pi(s') || p_a) + value_weight CE(two_hot(q_a + error), q_a)

    where no gradient passes through pi(s') and the last target; the fourth term ends with the episode. `error` is that
    of q_a from Retrace's returns, which bootstrap from a target network.

    754,778 meta-parameters in the default sizes, which are those of the released Disco103.

    Source: Oh et al. 2025, "Discovering state-of-the-art reinforcement learning algorithms", Nature, and the code of
    disco_rl. Departure: that code pads every episode with a step that it masks, so that the observation after an ending
    step is the episode's last; here it is the first of the next. The meta-network reads it beside the flag of the end.

    Args:
        prediction_size: numbers in y, and in each z; >= 2.
        hidden_size: of the network over a trajectory; >= 1.
        lifetime_size: of the network over a lifetime; >= 1.
        embedding_size: units of the small layers; >= 1.
        num_bins: of action values; odd and >= 3.
        max_abs_value: the largest value in the bins' scale, that of `signed_hyperbolic`; > 0.
        discount: of future rewards; in [0, 1].
        trace_decay: lambda of Retrace; in [0, 1].
        moving_decay: of the averages that standardise; in [0, 1).
        network_decay: of the target network; in [0, 1).
        policy_weight: >= 0.
        y_weight: >= 0.
        z_weight: >= 0.
        next_policy_weight: >= 0.
        value_weight: >= 0.
        entropy_bonus: of the predictions y and z, in the regulariser; >= 0.
        target_penalty: of the squared mean targets of y and z, likewise; >= 0.
        policy_penalty: of `KL(target policy || pi_hat)`, likewise; >= 0.

    >>> rule = Disco()
    >>> theta = jax.eval_shape(rule.init, jax.random.key(0))
    >>> sum(leaf.size for leaf in jax.tree.leaves(theta))
    754778
    """

    prediction_size: int = 600
    hidden_size: int = 256
    lifetime_size: int = 128
    embedding_size: int = 16
    num_bins: int = 601
    max_abs_value: float = 300.0
    discount: float = 0.997
    trace_decay: float = 0.95
    moving_decay: float = 0.99
    network_decay: float = 0.9
    policy_weight: float = 1.0
    y_weight: float = 1.0
    z_weight: float = 1.0
    next_policy_weight: float = 1.0
    value_weight: float = 0.2
    entropy_bonus: float = 1e-3
    target_penalty: float = 1e-3
    policy_penalty: float = 1e-2

    def __post_init__(self) -> None:
        least = {"prediction_size": 2, "hidden_size": 1, "lifetime_size": 1, "embedding_size": 1, "num_bins": 3}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} must be >= {bound}, got {getattr(self, name)}")
        if self.num_bins % 2 == 0:
            raise ValueError(f"num_bins must be odd, got {self.num_bins}")
        if not self.max_abs_value > 0:
            raise ValueError(f"max_abs_value must be > 0, got {self.max_abs_value}")
        for name in ("discount", "trace_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("moving_decay", "network_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        weights = ("policy_weight", "y_weight", "z_weight", "next_policy_weight", "value_weight")
        for name in (*weights, "entropy_bonus", "target_penalty", "policy_penalty"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")

    @property
    def target_decay(self) -> float:
        """That of the target network."""
        return self.network_decay

    def heads(self, num_actions: int) -> tuple[Head, ...]:
        """The policy, two predictions, action values and the next policy."""
        return (
            Head(LOGITS, num_actions),
            Head("y", self.prediction_size),
            Head("z", self.prediction_size, per_action=True),
            Head("q", self.num_bins, per_action=True),
            Head("next_logits", num_actions, per_action=True),
        )

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Random networks."""
        return init_networks(key, self.prediction_size, self.hidden_size, self.lifetime_size, self.embedding_size)

    def init_state(self, theta: Any) -> DiscoState:
        """Zeros."""
        del theta  # unused: no state is learned
        zeros = jnp.zeros((self.lifetime_size,), jnp.float32)
        return DiscoState(LifetimeState(zeros, zeros), initial_moments(), initial_moments())

    def targets(self, theta: Any, state: DiscoState, trajectory: Trajectory) -> tuple[DiscoTargets, DiscoState]:
        """Estimates of values, with which the averages are updated, and one pass of the meta-network.

        As in the published code, meta-gradients reach the agent through the predictions that the network reads, not
        through its policy and its values.
        """
        estimates, advantage, error = self._estimate(state, trajectory)
        meta, lifetime = meta_network(theta, state.lifetime, trajectory, estimates)
        return DiscoTargets(meta, estimates), DiscoState(lifetime, advantage, error)

    def loss(
        self, outputs: Outputs, trajectory: Trajectory, targets: DiscoTargets
    ) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
        """See the class."""
        value_loss = self.value_loss(outputs, trajectory, targets)
        loss = self.agent_loss(outputs, trajectory, targets) + value_loss
        return loss, {
            "value_loss": jnp.mean(value_loss),
            "regulariser": self._regulariser(outputs, trajectory, targets),
        }

    def agent_loss(self, outputs: Outputs, trajectory: Trajectory, targets: DiscoTargets) -> Float[Array, "time batch"]:
        """The four divergences."""
        meta, action = targets.meta, trajectory.action
        next_policy = jax.lax.stop_gradient(outputs[LOGITS][1:])
        next_loss = kl_divergence(next_policy, chosen(outputs["next_logits"][:-1], action))
        return (
            self.policy_weight * kl_divergence(meta.policy, outputs[LOGITS][:-1])
            + self.y_weight * kl_divergence(meta.y, outputs["y"][:-1])
            + self.z_weight * kl_divergence(meta.z, chosen(outputs["z"][:-1], action))
            + self.next_policy_weight * jnp.where(trajectory.ended, 0.0, next_loss)
        )

    def value_loss(self, outputs: Outputs, trajectory: Trajectory, targets: DiscoTargets) -> Float[Array, "time batch"]:
        """The cross entropy of action values."""
        logits = chosen(outputs["q"][:-1], trajectory.action)
        value = expected_value(logits, self.max_abs_value)
        goal = two_hot(jax.lax.stop_gradient(value + targets.estimates.error), self.num_bins, self.max_abs_value)
        return -self.value_weight * jnp.sum(goal * jax.nn.log_softmax(logits), axis=-1)

    def _estimate(self, state: DiscoState, trajectory: Trajectory) -> tuple[Estimates, MovingMoments, MovingMoments]:
        action, policy = trajectory.action, jax.nn.softmax(trajectory.outputs[LOGITS])
        q, target_q = (
            expected_value(outputs["q"], self.max_abs_value)
            for outputs in (trajectory.outputs, trajectory.target_outputs)
        )
        value, target_value = (jnp.sum(policy * of_actions, axis=-1) for of_actions in (q, target_q))
        log_ratio = chosen(
            jax.nn.log_softmax(trajectory.outputs[LOGITS][:-1]) - jax.nn.log_softmax(trajectory.behaviour_logits),
            action,
        )
        trace = self.trace_decay * jnp.minimum(jax.lax.stop_gradient(jnp.exp(log_ratio)), 1.0)
        taken = chosen(target_q[:-1], action)
        after = lambda x: jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])  # noqa: E731
        discount = jnp.where(trajectory.ended, 0.0, self.discount)
        returns = jax.lax.stop_gradient(
            multistep_returns(trajectory.reward, discount, target_value[1:], after(taken), after(trace))
        )
        advantage, error = returns - target_value[:-1], returns - chosen(q[:-1], action)
        action_advantage = target_q - jnp.broadcast_to(target_value[..., None], target_q.shape)
        advantages = update_moments(state.advantage, advantage, self.moving_decay)
        errors = update_moments(state.error, error, self.moving_decay)
        estimates = Estimates(
            value=value,
            target_action_value=target_q,
            returns=returns,
            advantage=advantage,
            normalised_advantage=normalise(advantage, advantages, EPSILON),
            action_advantage=action_advantage,
            normalised_action_advantage=normalise(action_advantage, advantages, EPSILON),
            action_value=q,
            error=error,
            normalised_error=normalise(error, errors, EPSILON, centre=False),
        )
        return estimates, advantages, errors

    def _regulariser(self, outputs: Outputs, trajectory: Trajectory, targets: DiscoTargets) -> Float[Array, ""]:
        """Against predictions that collapse and targets that run away."""
        y, z = outputs["y"][:-1], chosen(outputs["z"][:-1], trajectory.action)
        lost_entropy = kl_divergence(y, jnp.zeros_like(y)) + kl_divergence(z, jnp.zeros_like(z))
        means = jnp.mean(jnp.mean(targets.meta.y, axis=-1) ** 2) + jnp.mean(jnp.mean(targets.meta.z, axis=-1) ** 2)
        target_policy = jax.lax.stop_gradient(trajectory.target_outputs[LOGITS][:-1])
        policy = jnp.mean(kl_divergence(target_policy, targets.meta.policy))
        return self.entropy_bonus * jnp.mean(lost_entropy) + self.target_penalty * means + self.policy_penalty * policy
