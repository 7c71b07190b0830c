"""A rule as a task: the loss of the training runs that a learned optimizer makes, as a function of its weights."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.rules import AdafacMLP, LearnedOptimizer
from heurax.tasks.base import Split, TaskFamily
from heurax.tasks.classification import check_at_least_one
from heurax.tasks.quadratic import Quadratic

__all__ = ["RuleTraining"]


@dataclass(frozen=True)
class RuleTraining(TaskFamily):
    """Train a learned optimizer: the parameters are its meta-parameters, the loss that of what it trains.

    `loss = mean over runs and steps of log(loss of the step's batch)`: the logarithm keeps one run of large losses from
    being all that counts. The gradient is the exact one, through the whole run.

    Args:
        rule: the learned optimizer that is trained.
        family: the problems that it is trained on; their losses are > 0.
        num_steps: length of a run; >= 1.
        batch_size: runs per step, each on a problem of its own; >= 1.

    >>> RuleTraining(num_steps=5).batch((), jax.random.key(0)).shape
    (4,)
    """

    rule: LearnedOptimizer = AdafacMLP(step_mult=0.01)
    family: TaskFamily = Quadratic()
    num_steps: int = 10
    batch_size: int = 4

    def __post_init__(self) -> None:
        check_at_least_one(self, "num_steps", "batch_size")

    def sample(self, key: Key[Array, ""]) -> tuple[()]:
        """Nothing: problems are drawn in batches."""
        del key  # unused: all tasks of the family are the same
        return ()

    def init(self, task: tuple[()], key: Key[Array, ""]) -> Any:
        """Fresh meta-parameters."""
        del task  # unused: as in `sample`
        return self.rule.init(key)

    def batch(self, task: tuple[()], key: Key[Array, ""], split: Split = "train") -> Key[Array, " batch"]:
        """Keys of as many runs."""
        del task  # unused: as in `sample`
        return jax.random.split(jax.random.fold_in(key, SPLITS[split]), self.batch_size)

    def evaluation_batch(self, task: tuple[()], split: Split) -> Key[Array, " batch"]:
        """Keys of 16 runs, always the same."""
        del task  # unused: as in `sample`
        return jax.random.split(jax.random.fold_in(jax.random.key(0), SPLITS[split]), 16)

    def loss(self, task: tuple[()], params: Any, batch: Key[Array, " batch"]) -> Float[Array, ""]:
        """Mean logarithm of the training loss."""
        del task  # unused: as in `sample`
        return jnp.mean(jax.vmap(lambda key: self._run(params, key))(batch))

    def _run(self, theta: Any, key: Key[Array, ""]) -> Float[Array, ""]:
        key_task, key_params, key_steps = jax.random.split(key, 3)
        task = self.family.sample(key_task)
        optimizer = self.rule.optimizer(theta, self.num_steps)
        params = self.family.init(task, key_params)

        def step(carry: Any, key: Key[Array, ""]) -> tuple[Any, Float[Array, ""]]:
            params, state = carry
            batch = self.family.batch(task, key)
            loss, gradient = jax.value_and_grad(self.family.loss, argnums=1)(task, params, batch)
            updates, state = optimizer.update(gradient, state, params, value=loss)
            return (optax.apply_updates(params, updates), state), jnp.log(loss)

        keys = jax.random.split(key_steps, self.num_steps)
        _, losses = jax.lax.scan(step, (params, optimizer.init(params)), keys)
        return jnp.mean(losses)


SPLITS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
"""Folded into keys, so that splits never share a run."""
