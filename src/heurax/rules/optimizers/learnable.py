"""Hand-designed optimizers whose hyper-parameters are the meta-parameters: the smallest targets of meta-training."""

import inspect
import math
from dataclasses import dataclass, field
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from heurax.rules.base import LearnedOptimizer
from heurax.rules.optimizers.tensors import state_dtype

__all__ = ["ClippedAdam", "LearnableAdam", "LearnableMomentum", "LearnableSGD", "OptaxOptimizer"]


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
        """Adam with the hyper-parameters that `theta` holds; see `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: Adam does not know the horizon
        learning_rate, epsilon = jnp.exp(theta["log_learning_rate"]), jnp.exp(theta["log_epsilon"])
        beta1, beta2 = (1 - jnp.exp(theta[f"log_one_minus_beta{i}"]) for i in (1, 2))
        return _in_state_dtype(
            optax.chain(_scale_by_adam(beta1, beta2, epsilon), optax.scale_by_learning_rate(learning_rate))
        )


@dataclass(frozen=True)
class OptaxOptimizer(LearnedOptimizer):
    """Any optimizer of optax; its learning rate is the one meta-parameter.

    This is how hand-designed optimizers enter inner loops, evaluations and meta-training.

    Args:
        name: the function in `optax` that makes it: `sgd`, `adam`, `adamw`, `lion`, ...
        learning_rate: initial value; > 0. `theta` holds its logarithm.
        options: further keyword arguments of that function.
        schedule: of the learning rate over the horizon: constant, or annealed to 0 linearly or as half a cosine.

    >>> rule = OptaxOptimizer("sgd", learning_rate=0.1, options={"momentum": 0.9})
    >>> optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=100)
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    options: dict[str, float | bool] = field(default_factory=dict, hash=False)
    schedule: Literal["constant", "linear", "cosine"] = "constant"

    def __post_init__(self) -> None:
        if self.schedule not in ("constant", "linear", "cosine"):
            raise ValueError(f"schedule must be constant, linear or cosine, got {self.schedule!r}")
        if not callable(getattr(optax, self.name, None)):
            raise ValueError(f"name must be an optimizer of optax such as sgd, adam or adamw, got {self.name!r}")
        _check_positive(self, "learning_rate")
        accepted = list(inspect.signature(getattr(optax, self.name)).parameters)
        for option in self.options:
            if option not in accepted:
                raise ValueError(
                    f"options must be arguments of optax.{self.name}, {', '.join(accepted[1:])}; got {option!r}"
                )

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """The logarithm of the learning rate."""
        del key  # unused: nothing is random here
        return {"log_learning_rate": jnp.float32(math.log(self.learning_rate))}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """The optax optimizer at the learning rate that `theta` holds; see `LearnedOptimizer.optimizer`."""
        make, peak = getattr(optax, self.name), jnp.exp(theta["log_learning_rate"])
        if self.schedule == "constant":
            return _in_state_dtype(make(peak, **self.options))

        def learning_rate(count: Array) -> Array:
            done = jnp.minimum(count.astype(peak.dtype) / num_steps, 1.0)
            return peak * (1 - done if self.schedule == "linear" else 0.5 * (1 + jnp.cos(jnp.pi * done)))

        return _in_state_dtype(make(learning_rate, **self.options))


@dataclass(frozen=True)
class ClippedAdam(LearnedOptimizer):
    """Adam whose steps are clipped, and by whose denominator meta-gradients pass; its learning rate is learned.

        delta = -learning_rate clip(m_hat / (sqrt(v_hat) + 1e-8), -max_update, max_update)

    The optimizer of the agents that Disco was discovered with, and is used with.

    Source: the code of disco_rl.

    Args:
        learning_rate: initial value; > 0. `theta` holds its logarithm.
        max_update: > 0.
        beta1: decay of the mean of gradients; in [0, 1).
        beta2: decay of the mean of their squares; in [0, 1).

    >>> rule = ClippedAdam(learning_rate=0.5)
    >>> optimizer = rule.optimizer(rule.init(jax.random.key(0)), num_steps=100)
    >>> gradient = {"w": jnp.array([2.0])}
    >>> round(float(optimizer.update(gradient, optimizer.init(gradient), gradient)[0]["w"][0]), 4)
    -0.5
    """

    learning_rate: float = 3e-4
    max_update: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999

    def __post_init__(self) -> None:
        _check_positive(self, "learning_rate", "max_update")
        _check_decay(self, "beta1", "beta2")

    def init(self, key: Key[Array, ""]) -> dict[str, Float[Array, ""]]:
        """The logarithm of the learning rate."""
        del key  # unused: nothing is random here
        return {"log_learning_rate": jnp.float32(math.log(self.learning_rate))}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """See the class, and `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: the learning rate is constant

        def init(params: Any) -> optax.ScaleByAdamState:
            zeros = jax.tree.map(jnp.zeros_like, params)
            return optax.ScaleByAdamState(jnp.zeros([], jnp.int32), zeros, zeros)

        def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
            del params  # unused: Adam looks at gradients only
            mu = optax.tree.update_moment(updates, state.mu, self.beta1, 1)
            nu = optax.tree.update_moment(updates, state.nu, self.beta2, 2)
            count = state.count + 1
            correction1, correction2 = (
                1 - jnp.float32(b) ** count.astype(jnp.float32) for b in (self.beta1, self.beta2)
            )

            def scale(m: Array, v: Array) -> Array:
                step = (m / correction1) / (jnp.sqrt(jax.lax.stop_gradient(v / correction2)) + 1e-8)
                return jnp.clip(step, -self.max_update, self.max_update)

            return jax.tree.map(scale, mu, nu), optax.ScaleByAdamState(count, mu, nu)

        learning_rate = jnp.exp(theta["log_learning_rate"])
        adam = optax.GradientTransformation(init, update)
        return _in_state_dtype(optax.chain(adam, optax.scale_by_learning_rate(learning_rate)))


def _scale_by_adam(beta1: Array, beta2: Array, epsilon: Array) -> optax.GradientTransformation:
    """`optax.scale_by_adam(..., eps_root=1e-8)` for traced decays.

    optax raises a decay to an integer power, whose derivative mixes dtypes: an error under strict promotion.
    """

    def init(params: Any) -> optax.ScaleByAdamState:
        return optax.ScaleByAdamState(
            jnp.zeros([], jnp.int32), jax.tree.map(jnp.zeros_like, params), jax.tree.map(jnp.zeros_like, params)
        )

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByAdamState]:
        del params  # unused: Adam looks at gradients only
        mu = optax.tree.update_moment(updates, state.mu, beta1, 1)
        nu = optax.tree.update_moment(updates, state.nu, beta2, 2)
        count = state.count + 1
        correction1, correction2 = (1 - beta ** count.astype(beta.dtype) for beta in (beta1, beta2))
        updates = jax.tree.map(lambda m, v: (m / correction1) / (jnp.sqrt(v / correction2 + 1e-8) + epsilon), mu, nu)
        return updates, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


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
        return jax.tree.map(lambda x: x.astype(state_dtype(x)), tree)

    def update(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> tuple[Any, Any]:
        upcast_params = None if params is None else upcast(params)
        with jax.numpy_dtype_promotion("standard"):  # optax raises traced decays to an integer power
            new_updates, state = inner.update(upcast(updates), state, upcast_params, **extra_args)
        like = updates if params is None else params
        return jax.tree.map(lambda u, x: u.astype(x.dtype), new_updates, like), state

    return optax.GradientTransformationExtraArgs(lambda params: inner.init(upcast(params)), update)
