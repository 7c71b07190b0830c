"""GROOVE's curriculum: the levels on which a known algorithm does better than the one being discovered come again."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.sharding import PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key

from heurax.inner import ActorState, ActorTraining, InnerLoop
from heurax.outer.base import REPLICATED, Metrics, OuterLoop
from heurax.outer.descent import Descent
from heurax.outer.estimators import TruncatedGradient
from heurax.outer.level_replay import LevelBuffer, LevelReplay
from heurax.outer.optimizer import OuterOptimizer
from heurax.outer.tasks_axis import map_tasks, task_indices, task_keys
from heurax.outer.truncation import ConstantLength
from heurax.outer.unroll import run_steps
from heurax.rules import ActorCritic, LearnedOptimizer, ObjectiveRule, OptaxOptimizer

__all__ = ["RegretCurriculum", "RegretCurriculumState"]


@struct.dataclass
class RegretCurriculumState:
    """The whole truth of a run.

    Attributes:
        descent: as `Descent` has it.
        antagonists: their lifetimes, one per task, on the levels of the tasks.
        number: `i32[tasks]`, of the level that each task is on.
        buffer: the levels to come again.
        key: a typed key, of all that `Descent` does not draw.
    """

    descent: Any
    antagonists: Any
    number: Any
    buffer: Any
    key: Any

    @property
    def theta(self) -> Any:
        """What the run would hand back now."""
        return self.descent.theta

    @property
    def step(self) -> Any:
        """Outer steps made so far."""
        return self.descent.step


@dataclass(frozen=True)
class RegretCurriculum(OuterLoop):
    """Descent by meta-gradients, with levels by prioritised replay of their algorithmic regret.

    Beside every agent that learns by the rule lives an antagonist, which learns by an algorithm that is known, on the
    same level, for as many updates. When both have come to their end, the level's score is the

        regret = return of the antagonist - return of the agent,

    and the next lifetimes of the task begin on a level of the buffer or on a new one, as `replay` says. Returns are
    those by which `ActorTraining` judges an agent without its critic: of `num_eval_episodes` fresh episodes, or of the
    last ones in training. Lifetimes that were cut short at the beginning of a run, to stagger them, give no score.

    Metrics of a step: those of `Descent`; `regret`, the mean over the levels that were scored in it, and `scored`, how
    many; `replayed`, the levels drawn from the buffer; `buffer_filled`, its share of filled slots, and `buffer_score`,
    the mean score in it.

    Source: GROOVE, Jackson et al. 2023, arXiv:2310.02782. Departure: the antagonist lives along with the agent, rather
    than from beginning to end when the agent's lifetime is over, so that every outer step costs the same.

    Args:
        estimator: of the meta-gradient; its lifetimes last for the horizon.
        optimizer: uses it.
        replay: how levels come again.
        antagonist: the known algorithm.
        antagonist_optimizer: of the antagonists.
        num_steps: outer steps in a run; >= 1.
    """

    estimator: TruncatedGradient = TruncatedGradient(objective="final", window=5)
    optimizer: OuterOptimizer = OuterOptimizer()
    replay: LevelReplay = LevelReplay()
    antagonist: ObjectiveRule = ActorCritic()
    antagonist_optimizer: LearnedOptimizer = OptaxOptimizer("adam", 1e-3)
    num_steps: int = 5000

    def __post_init__(self) -> None:
        _ = self.descent  # raises if they do not fit together
        if self.estimator.adam_per_task:
            raise ValueError("estimator.adam_per_task must be false under RegretCurriculum, whose tasks change agents")
        if not isinstance(self.estimator.truncation, ConstantLength):
            raise ValueError(
                f"truncation must be ConstantLength, got {type(self.estimator.truncation).__name__}; lifetimes of many "
                "lengths are the inner loop's, by its field shortest"
            )

    @property
    def descent(self) -> Descent:
        """The outer loop without its curriculum."""
        return Descent(self.estimator, self.optimizer, self.num_steps)

    def validate(self, inner: InnerLoop) -> None:
        """Agents must be trained by `ActorTraining`, in an environment that has levels."""
        if not isinstance(inner, ActorTraining):
            raise ValueError(f"inner must be ActorTraining for a curriculum of levels, got {type(inner).__name__}")
        if not jax.tree.leaves(jax.eval_shape(inner.env.sample, jax.random.key(0))):
            raise ValueError(f"env must have levels to choose from, and {type(inner.env).__name__} has only one")
        self.estimator.validate(inner)

    @property
    def num_tasks(self) -> int:
        """Tasks of the estimator."""
        return self.estimator.num_tasks

    def inner_steps(self, inner: InnerLoop) -> int:
        """Those of one estimate, and as many of the antagonists."""
        return 2 * self.estimator.inner_steps(inner)

    def partition_specs(self, axis_name: str) -> Any:
        """Tasks are sharded, with their antagonists; the buffer is replicated."""
        tasks = PartitionSpec(axis_name)
        return RegretCurriculumState(
            descent=self.descent.partition_specs(axis_name),
            antagonists=tasks,
            number=tasks,
            buffer=REPLICATED,
            key=REPLICATED,
        )

    def init(self, inner: InnerLoop, key: Key[Array, ""], axis_name: str | None = None) -> RegretCurriculumState:
        """Agents and antagonists on new levels, and an empty buffer."""
        inner = _actor_training(inner)
        key_descent, key_antagonists, key_steps = jax.random.split(key, 3)
        descent = self.descent.init(inner, key_descent, axis_name)
        windows = descent.estimator_state
        # A clock below 0 would begin a lifetime on a level of its own; the agents that are there are as fresh.
        windows = dataclasses.replace(windows, clock=jnp.mod(windows.clock, inner.num_steps))
        keys = task_keys(key_antagonists, self.num_tasks, axis_name)
        return RegretCurriculumState(
            descent=dataclasses.replace(descent, estimator_state=windows),
            antagonists=jax.vmap(lambda agent, key: self._oppose(inner, agent, key))(windows.lifetime, keys),
            number=task_indices(self.num_tasks, axis_name).astype(jnp.int32),
            buffer=self.replay.init(jax.eval_shape(inner.env.sample, key)),
            key=key_steps,
        )

    def step(
        self, inner: InnerLoop, state: RegretCurriculumState, axis_name: str | None = None
    ) -> tuple[RegretCurriculumState, Metrics]:
        """One step of descent, as many updates of the antagonists, and new levels where lifetimes have ended."""
        inner = _actor_training(inner)
        key_live, key_judge, key_draw, key_begin = jax.random.split(jax.random.fold_in(state.key, state.step), 4)
        keys_live, keys_judge, keys_draw, keys_begin = (
            task_keys(key, self.num_tasks, axis_name) for key in (key_live, key_judge, key_draw, key_begin)
        )
        descent, metrics = self.descent.step(inner, state.descent, axis_name)
        windows = descent.estimator_state
        antagonists = map_tasks(
            lambda antagonist, key: self._live(inner, antagonist, key), state.antagonists, keys_live
        )

        ended = windows.clock >= inner.num_steps
        whole = ended & (windows.lifetime.step >= inner.num_steps)
        regret = jax.lax.cond(
            jnp.any(whole),
            lambda: jax.vmap(lambda *of_task: self._regret(inner, *of_task))(windows.lifetime, antagonists, keys_judge),
            lambda: jnp.zeros(whole.shape, jnp.float32),
        )
        scored = _everywhere((windows.lifetime.level, state.number, regret, whole), axis_name)
        buffer = self._score(state.buffer, *scored)

        replayed, slot = jax.vmap(lambda key: self.replay.draw(buffer, key))(keys_draw)
        buffer = self.replay.mark(buffer, *_everywhere((slot, replayed, ended), axis_name))
        begun = jax.vmap(lambda *of_task: self._begin(inner, descent.theta, buffer, *of_task))(
            slot, replayed, keys_begin
        )
        lifetime, antagonists = _where(ended, begun, (windows.lifetime, antagonists))
        new = (state.step + 1) * self.num_tasks + task_indices(self.num_tasks, axis_name).astype(jnp.int32)
        number = jnp.where(ended, jnp.where(replayed, buffer.number[slot], new), state.number)
        windows = dataclasses.replace(windows, lifetime=lifetime, clock=jnp.where(ended, 0, windows.clock))
        descent = dataclasses.replace(descent, estimator_state=windows)
        _, _, regret, whole = scored
        (replayed,) = _everywhere((ended & replayed,), axis_name)
        return RegretCurriculumState(descent, antagonists, number, buffer, state.key), metrics | {
            "regret": _mean_where(whole, regret),
            "scored": jnp.sum(whole).astype(jnp.float32),
            "replayed": jnp.sum(replayed).astype(jnp.float32),
            "buffer_filled": jnp.mean((buffer.number >= 0).astype(jnp.float32)),
            "buffer_score": _mean_where(buffer.number >= 0, buffer.score),
        }

    def _antagonist(self, inner: ActorTraining) -> ActorTraining:
        """How antagonists are trained: as agents are, by what is known."""
        return dataclasses.replace(inner, rule=self.antagonist, optimizer=self.antagonist_optimizer, critic=None)

    @property
    def _antagonist_theta(self) -> Any:
        return self.antagonist.init(jax.random.key(0))

    def _oppose(self, inner: ActorTraining, agent: ActorState, key: Key[Array, ""]) -> ActorState:
        """A fresh antagonist on the level of an agent, with as long to live."""
        antagonist = self._antagonist(inner).begin(self._antagonist_theta, agent.level, key)
        return dataclasses.replace(antagonist, length=agent.length)

    def _live(self, inner: ActorTraining, antagonist: ActorState, key: Key[Array, ""]) -> ActorState:
        """As many updates as the agents make."""
        keys = jax.random.split(key, self.estimator.window)
        return run_steps(self._antagonist(inner), self._antagonist_theta, antagonist, keys, None)[0]

    def _regret(
        self, inner: ActorTraining, agent: ActorState, antagonist: ActorState, key: Key[Array, ""]
    ) -> Float[Array, ""]:
        """The antagonist's return minus the agent's, in the same random numbers."""
        judge = self._antagonist(inner)
        theta = self._antagonist_theta  # of which judging makes no use
        agent = dataclasses.replace(
            antagonist, params=agent.params, episodes=agent.episodes, environment=agent.environment
        )
        return judge.meta_loss(theta, agent, key) - judge.meta_loss(theta, antagonist, key)

    def _score(self, buffer: LevelBuffer, levels: Any, numbers: Array, regrets: Array, whole: Array) -> LevelBuffer:
        """The buffer with the levels that were played to their end, one after the other."""

        def insert(buffer: LevelBuffer, one: tuple[Any, Array, Array, Array]) -> tuple[LevelBuffer, None]:
            level, number, regret, whole = one
            return self.replay.insert(buffer, level, number, jnp.where(whole, regret, jnp.nan)), None

        return jax.lax.scan(insert, buffer, (levels, numbers, regrets, whole))[0]

    def _begin(
        self,
        inner: ActorTraining,
        theta: Any,
        buffer: LevelBuffer,
        slot: Int[Array, ""],
        replayed: Bool[Array, ""],
        key: Key[Array, ""],
    ) -> tuple[ActorState, ActorState]:
        """A fresh agent and its antagonist, on a level of the buffer or on a new one."""
        key_level, key_agent, key_antagonist = jax.random.split(key, 3)
        new = inner.env.sample(key_level)
        level = jax.tree.map(lambda kept, new: jnp.where(replayed, kept[slot], new), buffer.level, new)
        agent = inner.begin(theta, level, key_agent)
        return agent, self._oppose(inner, agent, key_antagonist)


def _actor_training(inner: InnerLoop) -> ActorTraining:
    assert isinstance(inner, ActorTraining)  # as `validate` has found
    return inner


def _everywhere(tree: Any, axis_name: str | None) -> Any:
    """Leaves `[tasks, ...]` of all devices."""
    return tree if axis_name is None else jax.lax.all_gather(tree, axis_name, tiled=True)


def _where(condition: Bool[Array, " tasks"], new: Any, old: Any) -> Any:
    """`where` on leaves that begin with an axis of tasks."""
    wide = lambda x: condition.reshape(-1, *(1,) * (x.ndim - 1))  # noqa: E731
    return jax.tree.map(lambda new, old: jnp.where(wide(old), new, old), new, old)


def _mean_where(condition: Bool[Array, " n"], values: Float[Array, " n"]) -> Float[Array, ""]:
    """The mean of some, 0 of none."""
    total = jnp.sum(jnp.where(condition, values, 0.0))
    return total / jnp.maximum(jnp.sum(condition), 1).astype(jnp.float32)
