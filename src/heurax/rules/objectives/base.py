"""What an objective is: a rule that says what an agent predicts, and what it learns from a trajectory."""

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Int

from heurax.rules.base import Rule

__all__ = ["LOGITS", "Head", "Objective", "ObjectiveRule", "Outputs", "Trajectory", "chosen"]

LOGITS = "logits"
"""The head that every agent has: the logits of its policy, one per action."""

Outputs = Mapping[str, Float[Array, "..."]]
"""What an agent makes of observations, by head: `[..., size]`, and `[..., actions, size]` for heads per action."""


class Head(NamedTuple):
    """An output that a rule needs from an agent.

    Attributes:
        name: of the output.
        size: numbers in it.
        per_action: whether there is one of it for every action.
    """

    name: str
    size: int
    per_action: bool = False

    def shape(self, num_actions: int) -> tuple[int, ...]:
        """Of the output for one observation.

        >>> Head("q", 601, per_action=True).shape(3)
        (3, 601)
        """
        return (num_actions, self.size) if self.per_action else (self.size,)


class Trajectory(NamedTuple):
    """What B copies of an environment went through in T steps, and what the agent makes of it.

    Observations are those before each step, and one after the last. An episode that a time limit has cut off counts as
    ended: the rules of the literature know no difference.

    Attributes:
        outputs: of the agent as it is now, `[time + 1, batch, ...]`.
        target_outputs: of its target network, likewise; empty for rules without one.
        behaviour_logits: of the policy that acted, `[time, batch, actions]`.
        action: taken, int32 `[time, batch]`.
        reward: received.
        ended: whether the episode ended with the step; the observation after it then begins another one.
        step: updates that the agent has made, a float32 scalar.
        num_steps: updates in its lifetime, a float32 scalar.
    """

    outputs: Outputs
    target_outputs: Outputs
    behaviour_logits: Float[Array, "time batch actions"]
    action: Int[Array, "time batch"]
    reward: Float[Array, "time batch"]
    ended: Bool[Array, "time batch"]
    step: Float[Array, ""]
    num_steps: Float[Array, ""]


class Objective(NamedTuple):
    """A rule with its meta-parameters, as four pure functions for anybody's training loop.

        state = objective.init()
        targets, state = objective.targets(state, trajectory)
        loss, metrics = objective.loss(outputs, trajectory, targets)         # differentiate this in the agent

    Attributes:
        heads: from a number of actions to the outputs that the agent must have.
        init: the state of the rule at the beginning of an agent's lifetime.
        targets: what the agent is to learn from a trajectory, and the rule's next state.
        loss: of every step, `[time, batch]`, of outputs `[time + 1, batch, ...]`; and scalars by name.
    """

    heads: Callable[[int], tuple[Head, ...]]
    init: Callable[[], Any]
    targets: Callable[[Any, Trajectory], tuple[Any, Any]]
    loss: Callable[[Outputs, Trajectory, Any], tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]]


class ObjectiveRule(Rule):
    """A rule that says what an agent with discrete actions predicts and how it learns.

    All functions are pure and written for one agent, which learns from a batch of trajectories at once. The agent makes
    one step of its optimizer per update, on the mean loss; where the rule has a target network, its parameters follow
    the agent's as `w' <- target_decay w' + (1 - target_decay) w` with those from before the step.
    """

    kind: ClassVar[str] = "objective"

    @property
    def target_decay(self) -> float | None:
        """How slowly the target network follows; None for rules that have none."""
        return None

    @abc.abstractmethod
    def heads(self, num_actions: int) -> tuple[Head, ...]:
        """The outputs that it needs, the first of which is `Head("logits", num_actions)`."""

    @abc.abstractmethod
    def init_state(self, theta: Any) -> Any:
        """What the rule remembers of an agent's lifetime, at its beginning: a tree of arrays."""

    @abc.abstractmethod
    def targets(self, theta: Any, state: Any, trajectory: Trajectory) -> tuple[Any, Any]:
        """What the agent is to learn, differentiable in `theta`, and the next state."""

    @abc.abstractmethod
    def loss(
        self, outputs: Outputs, trajectory: Trajectory, targets: Any
    ) -> tuple[Float[Array, "time batch"], dict[str, Float[Array, ""]]]:
        """The agent's loss for its `outputs` on the trajectory's observations; and scalars by name.

        The metric `regulariser` is a cost of the targets that meta-training adds to the meta-loss, and no more.
        """

    def objective(self, theta: Any) -> Objective:
        """The functions that `theta` describes, for anybody's training loop; they check what they are given.

        Args:
            theta: meta-parameters with the structure of `init`.
        """

        def targets(state: Any, trajectory: Trajectory) -> tuple[Any, Any]:
            self.check(trajectory)
            return self.targets(theta, state, trajectory)

        return Objective(self.heads, lambda: self.init_state(theta), targets, self.loss)

    def check(self, trajectory: Trajectory) -> None:
        """Raise ValueError unless the trajectory has all that the rule needs, in the right shapes."""
        name = type(self).__name__
        time, batch = trajectory.reward.shape
        if LOGITS not in trajectory.outputs:
            raise ValueError(f"outputs lack {LOGITS!r}, which {name} needs from an agent")
        num_actions = trajectory.outputs[LOGITS].shape[-1]
        wanted = {head.name: head.shape(num_actions) for head in self.heads(num_actions)}
        kinds = {"outputs": trajectory.outputs}
        if self.target_decay is not None:
            kinds["target_outputs"] = trajectory.target_outputs
        for kind, outputs in kinds.items():
            for head, shape in wanted.items():
                if head not in outputs:
                    raise ValueError(f"{kind} lack {head!r}, which {name} needs from an agent")
                if outputs[head].shape != (time + 1, batch, *shape):
                    raise ValueError(
                        f"{kind}[{head!r}] must have shape {[time + 1, batch, *shape]} (time + 1, batch, ...) for "
                        f"{name}, got {list(outputs[head].shape)}"
                    )


def chosen(values: Float[Array, "time batch actions ..."], action: Int[Array, "time batch"]) -> Float[Array, "..."]:
    """Of values per action, those of the actions taken.

    >>> chosen(jax.numpy.array([[[1.0, 2.0]]]), jax.numpy.array([[1]])).tolist()
    [[2.0]]
    """
    return jax.vmap(jax.vmap(lambda values, action: values[action]))(values, action)
