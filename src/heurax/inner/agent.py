"""An actor-critic agent: a network and a policy that fit an environment."""

from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from heurax.envs import ActionSpace, Environment
from heurax.inner.networks import Network
from heurax.inner.policies import Policy

__all__ = ["Agent", "AgentStep", "make_agent"]


class AgentStep(NamedTuple):
    """What an agent makes of an observation.

    Attributes:
        memory: to be given to it with the next observation of the episode.
        outputs: what its policy is made from.
        value: of the state.
    """

    memory: Float[Array, " memory"]
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

    def step(
        self, params: Any, memory: Float[Array, " memory"], observation: Float[Array, "*observation"]
    ) -> AgentStep:
        """Look at an observation."""
        memory, outputs, value = cast(Any, self.module.apply({"params": params}, memory, observation))
        return AgentStep(memory, outputs, value)

    def unroll(
        self,
        params: Any,
        memory: Float[Array, " memory"],
        observation: Float[Array, "time *observation"],
        ended: Any,
    ) -> tuple[Float[Array, "time outputs"], Float[Array, " time"]]:
        """Outputs and values along a trajectory; the memory starts anew after every step at which `ended`."""

        def step(memory: Array, now: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
            observation, ended = now
            seen = self.step(params, memory, observation)
            return jnp.where(ended, self.network.initial_memory(), seen.memory), (seen.outputs, seen.value)

        return jax.lax.scan(step, memory, (observation, ended))[1]


def make_agent(network: Network, policy: Policy, env: Environment) -> Agent:
    """The agent of a network and a policy in an environment.

    Raises:
        ValueError: the policy cannot act in the environment's action space.
    """
    policy.check(env.action_space)
    return Agent(network, policy, env.observation_shape, env.action_space)
