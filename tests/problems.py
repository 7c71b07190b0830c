"""Inner loops on which estimators are tested."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax

from heurax.inner import SupervisedTraining
from heurax.rules import LearnedOptimizer
from heurax.tasks import Quadratic


@dataclass(frozen=True)
class TinyOptimizer(LearnedOptimizer):
    """Momentum with three meta-parameters, one of them in a matrix: `m <- sigmoid(b) m + g`, `u = -e^a (g + w m)`."""

    def init(self, key):
        return {"decay": jnp.float32(0.5), "rate": jnp.float32(-3.0), "weights": jnp.full((1, 1), 0.5)}

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
