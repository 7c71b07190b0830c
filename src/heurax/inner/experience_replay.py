"""Experience replay: agents learn from rollouts of the past besides the fresh one."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.inner.experience import Experience

__all__ = ["ExperienceReplay", "ReplayState", "Rollout"]


class Rollout(NamedTuple):
    """What copies of an environment went through, without what an agent makes of it.

    Attributes:
        observation: before each step, and after the last, `[time + 1, batch, ...]`.
        behaviour_logits: of the policy that acted, `[time, batch, actions]`.
        action: taken, int32 `[time, batch]`.
        reward: received.
        ended: whether the episode ended with the step.
    """

    observation: Float[Array, "..."]
    behaviour_logits: Float[Array, "time batch actions"]
    action: Int[Array, "time batch"]
    reward: Float[Array, "time batch"]
    ended: Bool[Array, "time batch"]

    @classmethod
    def of(cls, experience: Experience, last_observation: Float[Array, "batch ..."]) -> "Rollout":
        """A rollout of an agent whose outputs are logits, and the observation after it."""
        return cls(
            observation=jnp.concatenate([experience.observation, last_observation[None]]),
            behaviour_logits=experience.outputs,
            action=experience.action,
            reward=experience.reward,
            ended=experience.ended,
        )

    @classmethod
    def zeros(cls, time: int, batch: int, observation_shape: tuple[int, ...], num_actions: int) -> "Rollout":
        """One in which nothing happens."""
        return cls(
            observation=jnp.zeros((time + 1, batch, *observation_shape), jnp.float32),
            behaviour_logits=jnp.zeros((time, batch, num_actions), jnp.float32),
            action=jnp.zeros((time, batch), jnp.int32),
            reward=jnp.zeros((time, batch), jnp.float32),
            ended=jnp.zeros((time, batch), jnp.bool),
        )


@struct.dataclass
class ReplayState:
    """Trajectories kept, leaves `[capacity * batch, time, ...]`; `count` (`i32[]`) of rollouts that were put in."""

    kept: Rollout
    count: Int[Array, ""]


@dataclass(frozen=True)
class ExperienceReplay:
    """Keeps the last rollouts and has some of them learned from again, drawn evenly and with replacement.

    It suits rules that correct for the policy that acted, as `Disco` does; to A2C and LPG all experience is taken as
    the present policy's.

    Source: Lin 1992, "Self-improving reactive agents based on reinforcement learning, planning and teaching"; Oh et al.
    2025, whose agents learn from batches of which 90% is replayed, `num_replayed` 9.

    Args:
        capacity: rollouts that are kept, each of all copies of the environment; >= 1.
        num_replayed: trajectories of the past for each fresh one in a batch; >= 1.
    """

    capacity: int = 100
    num_replayed: int = 1

    def __post_init__(self) -> None:
        for name in ("capacity", "num_replayed"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")

    def init(self, rollout: Rollout) -> ReplayState:
        """Room for rollouts like one, of which only shapes and dtypes count."""
        kept = jax.tree.map(
            lambda x: jnp.zeros((self.capacity * x.shape[1], x.shape[0], *x.shape[2:]), x.dtype), rollout
        )
        return ReplayState(kept, jnp.zeros([], jnp.int32))

    def mix(self, state: ReplayState, rollout: Rollout, key: Key[Array, ""]) -> tuple[ReplayState, Rollout]:
        """Put a rollout in, in the place of the oldest, and draw: the fresh trajectories, then those of the past.

        What is drawn may be fresh as well: at the beginning nothing else is there.
        """
        batch = rollout.reward.shape[1]
        start = state.count % self.capacity * batch

        def put(kept: Array, fresh: Array) -> Array:
            return jax.lax.dynamic_update_slice_in_dim(kept, jnp.swapaxes(fresh, 0, 1), start, axis=0)

        kept = jax.tree.map(put, state.kept, rollout)
        count = state.count + 1
        filled = jnp.minimum(count, self.capacity) * batch
        drawn = jax.random.randint(key, (self.num_replayed * batch,), 0, filled)
        mixed = jax.tree.map(
            lambda fresh, kept: jnp.concatenate([fresh, jnp.swapaxes(kept[drawn], 0, 1)], axis=1), rollout, kept
        )
        return ReplayState(kept, count), mixed
