"""The advantage actor-critic: an objective with nothing to learn, the baseline of those that are learned."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.rules.objectives.base import LOGITS, Head, ObjectiveRule, Outputs, Trajectory, chosen
from heurax.rules.objectives.returns import multistep_returns

__all__ = ["ActorCritic", "ActorCriticTargets"]


class ActorCriticTargets(NamedTuple):
    """Advantages of the actions taken, and returns for the critic; no gradient passes through either."""

    advantage: Float[Array, "time batch"]
    returns: Float[Array, "time batch"]


@dataclass(frozen=True)
class ActorCritic(ObjectiveRule):
    """Synchronous advantage actor-critic, A2C: policy gradients with lambda-returns.

        G_t  = r_t + discount ((1 - trace_decay) v_{t+1} + trace_decay G_{t+1})
        loss = -log pi(a | s) (G - v) + value_weight (G - v)^2 / 2 - entropy_weight H(pi)

    `theta` is the empty tuple.

    Sources: Mnih et al. 2016, arXiv:1602.01783; `G - v` is the generalised advantage, Schulman et al. 2016,
    arXiv:1506.02438.

    Args:
        discount: of future rewards; in [0, 1].
        trace_decay: lambda; in [0, 1].
        value_weight: >= 0.
        entropy_weight: >= 0.
        normalise_advantages: whether advantages are standardised over the batch.

    >>> ActorCritic().heads(4)
    (Head(name='logits', size=4, per_action=False), Head(name='v', size=1, per_action=False))
    """

    discount: float = 0.99
    trace_decay: float = 0.95
    value_weight: float = 0.5
    entropy_weight: float = 0.01
    normalise_advantages: bool = False

    def __post_init__(self) -> None:
        for name in ("discount", "trace_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("value_weight", "entropy_weight"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")

    def heads(self, num_actions: int) -> tuple[Head, ...]:
        """The policy and the value."""
        return Head(LOGITS, num_actions), Head("v", 1)

    def init(self, key: Key[Array, ""]) -> tuple[()]:
        """Nothing is learned."""
        del key  # unused: there are no meta-parameters
        return ()

    def init_state(self, theta: Any) -> tuple[()]:
        """Nothing is remembered."""
        del theta  # unused: there is no state
        return ()

    def targets(self, theta: Any, state: Any, trajectory: Trajectory) -> tuple[ActorCriticTargets, Any]:
        """Advantages and returns."""
        del theta  # unused: empty
        value = jax.lax.stop_gradient(trajectory.outputs["v"][..., 0])
        discount = jnp.where(trajectory.ended, 0.0, self.discount)
        trace = jnp.full_like(discount, self.trace_decay)
        returns = multistep_returns(trajectory.reward, discount, value[1:], value[1:], trace)
        advantage = returns - value[:-1]
        if self.normalise_advantages:
            advantage = (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
        return ActorCriticTargets(advantage, returns), state

    def loss(
        self, outputs: Outputs, trajectory: Trajectory, targets: ActorCriticTargets
    ) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
        """See the class."""
        log_policy = jax.nn.log_softmax(outputs[LOGITS][:-1])
        entropy = -jnp.sum(jnp.exp(log_policy) * log_policy, axis=-1)
        policy_loss = -chosen(log_policy, trajectory.action) * targets.advantage
        value_loss = 0.5 * (targets.returns - outputs["v"][:-1, ..., 0]) ** 2
        loss = policy_loss + self.value_weight * value_loss - self.entropy_weight * entropy
        return loss, {"value_loss": jnp.mean(value_loss)}
