"""Inner loops on which estimators are tested."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from heurax.inner import InnerLoop, StepResult, SupervisedTraining
from heurax.rules import LearnedOptimizer, Rule
from heurax.tasks import Quadratic


@dataclass(frozen=True)
class TinyOptimizer(LearnedOptimizer):
    """Momentum with three meta-parameters, one of them in a matrix: `m <- sigmoid(b) m + g`, `u = -e^a (g + w m)`."""

    def init(self, key):
        return {"decay": jnp.float32(0.5), "rate": jnp.float32(-3.0), "weights": jnp.full((1, 1), 0.5, jnp.float32)}

    def optimizer(self, theta, num_steps):
        def update(updates, state, params=None, **extra_args):
            momentum = jax.tree.map(lambda m, g: jax.nn.sigmoid(theta["decay"]) * m + g, state, updates)
            step = lambda m, g: -jnp.exp(theta["rate"]) * (g + theta["weights"][0, 0] * m)  # noqa: E731
            return jax.tree.map(step, momentum, updates), momentum

        return optax.GradientTransformationExtraArgs(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def small_training(num_steps: int = 20) -> SupervisedTraining:
    """A learned optimizer on noisy quadratics in three dimensions."""
    task = Quadratic(dimension=3, condition_number=10.0, noise=0.1)
    return SupervisedTraining(rule=TinyOptimizer(), task=task, num_steps=num_steps, loss_cap=1e3)


@dataclass(frozen=True)
class Leaves(Rule):
    """Seven numbers, in two leaves of different shapes."""

    def init(self, key):
        return {"a": jnp.zeros((3,)), "b": jnp.zeros((2, 2))}


@dataclass(frozen=True)
class Stairs(InnerLoop):
    """A hand-made inner loop without a gradient, with a key and a counter in its state.

    A step's loss is the squared distance of theta from 1/2, in steps, with a little noise. Losses are whole multiples
    of 1/4096, so that equal ones are equal however they are added up, and ranks well defined.
    """

    rule: Leaves = Leaves()
    num_steps: int = 2

    def init(self, theta, key):
        return {"key": key, "misses": jnp.zeros([], jnp.int32)}

    def step(self, theta, state, key):
        key_now, key_next = jax.random.split(state["key"])
        missed = jax.random.normal(key_now) > 0
        loss = self.height(theta) + jnp.round(4 * jax.random.normal(key)) / 4096
        state = {"key": key_next, "misses": state["misses"] + missed.astype(jnp.int32)}
        return state, StepResult(loss, {"missed": missed.astype(jnp.float32)})

    def meta_loss(self, theta, state, key):
        return self.height(theta) + state["misses"].astype(jnp.float32) / 4096

    def height(self, theta):
        numbers = jnp.concatenate([theta["a"], theta["b"].ravel()])
        return jnp.sum(jnp.round(20 * (numbers - 0.5)) ** 2) / 4096
