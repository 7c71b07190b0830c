"""Hand-designed optimizers whose hyper-parameters are the meta-parameters: the smallest targets of meta-training."""

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers import features

__all__ = ["LearnableAdam", "LearnableMomentum", "LearnableSGD", "OptaxOptimizer"]


@dataclass(frozen=True)
class LearnableSGD(LearnedOptimizer):
    """Gradient descent with a learned learning rate `exp(log_learning_rate)`: one meta-parameter.

    Source: `LearnableSGD` of google/learned_optimization.

    Args:
        learning_rate: initial value; > 0.

    >>> rule = LearnableSGD(learning_rate=0.5)
    >>> optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=100)
    >>> gradient = {"w": jnp.array([2.0])}
    >>> float(optimizer.update(gradient, optimizer.init(gradient), gradient)[0]["w"][0])
    -1.0
    """

    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        _check_positive(self, "learning_rate")

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """The logarithm of the initial value."""
        del key  # unused: nothing is random here
        return {"log_learning_rate": jnp.float32(math.log(self.learning_rate))}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """`optax.sgd` at the learning rate that `theta` holds; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the learning rate is constant
        return _in_state_dtype(optax.sgd(jnp.exp(theta["log_learning_rate"])))


@dataclass(frozen=True)
class LearnableMomentum(LearnedOptimizer):
    """Gradient descent with heavy-ball momentum, learning rate and decay learned: two meta-parameters.

    `trace <- g + momentum trace`, `delta = -learning_rate trace`, with `learning_rate = exp(log_learning_rate)` and
    `momentum = 1 - exp(log_one_minus_momentum)`.

    Source: `LearnableSGDM` of google/learned_optimization.

    Args:
        learning_rate: initial value; > 0.
        momentum: initial value; in [0, 1).

    >>> sorted(LearnableMomentum().init(jax.random.key(0)))
    ['log_learning_rate', 'log_one_minus_momentum']
    """

    learning_rate: float = 1e-2
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _check_positive(self, "learning_rate")
        _check_decay(self, "momentum")

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """The logarithms of the initial values."""
        del key  # unused: nothing is random here
        return {
            "log_learning_rate": jnp.float32(math.log(self.learning_rate)),
            "log_one_minus_momentum": jnp.float32(math.log1p(-self.momentum)),
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """`optax.sgd` with the momentum and learning rate that `theta` holds; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: both are constant
        momentum = 1 - jnp.exp(theta["log_one_minus_momentum"])
        return _in_state_dtype(optax.sgd(jnp.exp(theta["log_learning_rate"]), momentum=momentum))


class LearnableAdamState(NamedTuple):
    """State of `LearnableAdam`; `moments` holds `[2, *shape]` for each parameter."""

    count: Int[Array, ""]
    moments: Any


@dataclass(frozen=True)
class LearnableAdam(LearnedOptimizer):
    """Adam with learned learning rate, decays and epsilon: four meta-parameters in log space.

    `lr = exp(log_learning_rate)`, `beta = 1 - exp(log_one_minus_beta)`, `eps = exp(log_epsilon)`; the update is
    `-lr m_hat / (sqrt(v_hat + 1e-8) + eps)`, bias-corrected. The 1e-8 inside the root, which optax leaves out by
    default, keeps meta-gradients finite at zero gradients.

    Source: `LearnableAdam` of google/learned_optimization.

    Args:
        learning_rate: initial value; > 0.
        beta1: initial value; in [0, 1).
        beta2: initial value; in [0, 1).
        epsilon: initial value; > 0.

    >>> theta = LearnableAdam(learning_rate=0.1).init(jax.random.key(0))
    >>> round(float(jnp.exp(theta["log_learning_rate"])), 3)
    0.1
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check_positive(self, "learning_rate", "epsilon")
        _check_decay(self, "beta1", "beta2")

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """The logarithms of the initial values."""
        del key  # unused: nothing is random here
        return {
            "log_learning_rate": jnp.float32(math.log(self.learning_rate)),
            "log_one_minus_beta1": jnp.float32(math.log1p(-self.beta1)),
            "log_one_minus_beta2": jnp.float32(math.log1p(-self.beta2)),
            "log_epsilon": jnp.float32(math.log(self.epsilon)),
        }

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """Adam with the hyper-parameters that `theta` holds; `update` does not need `params`.

        Not `optax.adam`, whose bias correction raises the learned decays to an integer power: the gradient of that
        with respect to the decays is refused under strict dtype promotion.
        """
        del num_steps  # unused: Adam does not know the horizon

        def init(params: optax.Params) -> LearnableAdamState:
            moments = jax.tree.map(lambda p: features.init_moments(p, 2), params)
            return LearnableAdamState(jnp.zeros([], jnp.int32), moments)

        def update(
            updates: optax.Updates, state: Any, params: optax.Params | None = None, **extra_args: Any
        ) -> tuple[optax.Updates, LearnableAdamState]:
            del extra_args  # unused: Adam does not look at the loss

            def update_tensor(like: Array, gradient: Array, moments: Array) -> tuple[Array, Array]:
                dtype = moments.dtype
                h = {name: jnp.exp(leaf.astype(dtype)) for name, leaf in theta.items()}
                beta1, beta2 = 1 - h["log_one_minus_beta1"], 1 - h["log_one_minus_beta2"]
                moments = features.decay_adam_moments(moments, gradient.astype(dtype), beta1, beta2)
                step = features.adam_direction(
                    moments, state.count, beta1, beta2, epsilon=h["log_epsilon"], root_epsilon=1e-8
                )
                return (-h["log_learning_rate"] * step).astype(like.dtype), moments

            like = updates if params is None else params
            deltas, moments = features.update_tensors(update_tensor, like, updates, state.moments)
            return deltas, LearnableAdamState(state.count + 1, moments)

        return optax.GradientTransformationExtraArgs(init, update)


@dataclass(frozen=True)
class OptaxOptimizer(LearnedOptimizer):
    """Any optimizer of optax; its learning rate is the one meta-parameter.

    This is how hand-designed optimizers enter inner loops, evaluations and meta-training.

    Args:
        name: the function in `optax` that makes it: `sgd`, `adam`, `adamw`, `lion`, ...
        learning_rate: initial value; > 0. `theta` holds its logarithm.
        options: further keyword arguments of that function.

    >>> rule = OptaxOptimizer("sgd", learning_rate=0.1, options={"momentum": 0.9})
    >>> optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=100)
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    options: dict[str, float | bool] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not callable(getattr(optax, self.name, None)):
            raise ValueError(f"name must be an optimizer of optax such as sgd, adam or adamw, got {self.name!r}")
        _check_positive(self, "learning_rate")

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """The logarithm of the learning rate."""
        del key  # unused: nothing is random here
        return {"log_learning_rate": jnp.float32(math.log(self.learning_rate))}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax optimizer at the learning rate that `theta` holds; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the learning rate is constant
        make = getattr(optax, self.name)
        return _in_state_dtype(make(jnp.exp(theta["log_learning_rate"]), **self.options))


def _check_positive(rule: Any, *names: str) -> None:
    for name in names:
        if not getattr(rule, name) > 0:
            raise ValueError(f"{name} must be > 0, got {getattr(rule, name)}")


def _check_decay(rule: Any, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(rule, name) < 1:
            raise ValueError(f"{name} must be in [0, 1), got {getattr(rule, name)}")


def _in_state_dtype(inner: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Run a transformation in float32 (or float64) whatever the parameters' dtype; updates are cast back."""
    inner = optax.with_extra_args_support(inner)

    def upcast(tree: Any) -> Any:
        return jax.tree.map(lambda x: x.astype(features.state_dtype(x)), tree)

    def update(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> tuple[Any, Any]:
        upcast_params = None if params is None else upcast(params)
        with jax.numpy_dtype_promotion("standard"):  # some of optax's optimizers rely on implicit promotion
            new_updates, state = inner.update(upcast(updates), state, upcast_params, **extra_args)
        like = updates if params is None else params
        return jax.tree.map(lambda u, x: u.astype(x.dtype), new_updates, like), state

    return optax.GradientTransformationExtraArgs(lambda params: inner.init(upcast(params)), update)
