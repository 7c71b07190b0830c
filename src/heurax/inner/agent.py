"""An actor-critic agent: a network and a policy that fit an environment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from heurax.envs import ActionSpace
from heurax.inner.activity import unit_activity
from heurax.inner.networks import Network
from heurax.inner.policies import Policy

__all__ = ["Agent", "AgentStep"]


class AgentStep(NamedTuple):
    """What an agent makes of an observation.

    Attributes:
        memory: to be given to it with the next observation of the episode.
        outputs: what its policy is made from.
        value: of the state.
    """

    memory: Any
    outputs: Float[Array, " outputs"]
    value: Float[Array, ""]


@dataclass(frozen=True)
class Agent:
    """The network and policy of an agent for observations of one shape and actions of one space.

    Its parameters are a dictionary in which everything of the actor's is under names that begin with `actor`, and
    everything of the critic's under names that begin with `critic`.
    """

    network: Network
    policy: Policy
    observation_shape: tuple[int, ...]
    action_space: ActionSpace

    @property
    def module(self) -> nn.Module:
        """The flax module of the network."""
        return self.network.module(self.policy.num_outputs(self.action_space))

    def init(self, key: Key[Array, ""]) -> dict[str, Any]:
        """Fresh parameters."""
        observation = jnp.zeros(self.observation_shape, jnp.float32)
        network = self.module.init(key, self.network.initial_memory(), observation)["params"]
        return {**network, **self.policy.init(self.action_space)}

    def step(self, params: Any, memory: Any, observation: Float[Array, "*observation"]) -> AgentStep:
        """Look at an observation."""
        memory, outputs, value = cast(Any, self.module.apply({"params": params}, memory, observation))
        return AgentStep(memory, outputs, value)

    def memories(self, num_envs: int) -> Any:
        """Fresh memories for several copies of an environment."""
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (num_envs, *x.shape)), self.network.initial_memory())

    def remember(self, ended: Bool[Array, ""], memory: Any) -> Any:
        """The memory to go on with: a fresh one where the episode has ended."""
        fresh = self.network.initial_memory()
        return jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, memory)

    def unroll(
        self,
        params: Any,
        memory: Any,
        observation: Float[Array, "time *observation"],
        ended: Bool[Array, " time"],
    ) -> tuple[Float[Array, "time outputs"], Float[Array, " time"]]:
        """Outputs and values along a trajectory; the memory starts anew after every step at which `ended`."""
        return self._along(lambda _, seen: (seen.outputs, seen.value), params, memory, observation, ended)

    def memories_along(
        self,
        params: Any,
        memory: Any,
        observation: Float[Array, "time *observation"],
        ended: Bool[Array, " time"],
    ) -> Any:
        """The memory before each step of a trajectory, which starts anew as in `unroll`: leaves `[time, ...]`."""
        return self._along(lambda memory, _: memory, params, memory, observation, ended)

    def activity(self, params: Any, memory: Any, observation: Float[Array, "batch ..."]) -> Any:
        """Mean magnitude of what units put out, a tree like `params` as of `unit_activity`, and the policy's own."""
        active = unit_activity(self.module, params, memory, observation)
        return {**active, **self.policy.activity(params)}

    def _along(
        self, keep: Callable[[Any, AgentStep], Any], params: Any, memory: Any, observation: Array, ended: Array
    ) -> Any:
        """What is kept of the memory before each step of a trajectory, and of what the agent makes of the step."""

        def step(memory: Any, now: tuple[Array, Array]) -> tuple[Any, Any]:
            observation, ended = now
            seen = self.step(params, memory, observation)
            return self.remember(ended, seen.memory), keep(memory, seen)

        return jax.lax.scan(step, memory, (observation, ended))[1]
