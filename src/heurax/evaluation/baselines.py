"""Hand-designed optimizers that a learned one has to beat, with the settings over which each is tuned."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key
from optax import contrib

from heurax.rules import LearnedOptimizer

__all__ = ["BASELINES", "AtRate", "Baseline", "Range", "learning_rate_at", "sample_settings"]

Setting = dict[str, Any]
Schedule = Callable[[Any], Any]


def learning_rate_at(count: Array, setting: Setting) -> Float[Array, ""]:
    """The learning rate of an update: linear warm-up, then constant, or half a cosine down to 0.

    `eta min(1, (t + 1) / (w T)) (1 - d (1 - cos(pi max(t - w T, 0) / (T - w T))) / 2)`

    Args:
        count: t, updates made before.
        setting: `learning_rate` eta, `warmup` w in [0, 1), `decay` d: 1 anneals to 0, 0 leaves it constant; `num_steps`
            T.
    """
    t, warmup = count.astype(jnp.float32), setting["warmup"] * setting["num_steps"]
    rising = jnp.minimum(1.0, (t + 1) / jnp.maximum(warmup, 1.0))
    done = jnp.clip((t - warmup) / (setting["num_steps"] - warmup), 0.0, 1.0)
    return setting["learning_rate"] * rising * (1 - setting["decay"] * 0.5 * (1 - jnp.cos(jnp.pi * done)))


class Range(NamedTuple):
    """Values of a hyper-parameter in a random search, log-uniform; or 1 minus the hyper-parameter's."""

    low: float
    high: float


@dataclass(frozen=True)
class Baseline(LearnedOptimizer):
    """A hand-designed optimizer, its hyper-parameters in `theta`, so that settings can be vmapped.

    `theta` has `learning_rate`, `warmup`, `decay`, `num_steps` (see `learning_rate_at`) and the keys of `defaults`.

    Args:
        name: of it.
        make: from a schedule and `theta` to the optax transformation.
        defaults: hyper-parameters besides the learning rate.
        rate_factor: of the suite's grid of learning rates: how much larger its steps want to be than Adam's.
        schedule: whether it follows the suite's schedule after the warm-up, or does without one.
        space: ranges of a random search; empty for none.
        params_fn: from the optimizer's state and the parameters to those that a model is judged by; None for these.
    """

    name: str
    make: Callable[[Schedule, Setting], Any]
    defaults: dict[str, float] = field(default_factory=dict, hash=False)
    rate_factor: float = 1.0
    schedule: Literal["suite", "constant"] = "suite"
    space: dict[str, Range] = field(default_factory=dict, hash=False)
    params_fn: Callable[[Any, Any], Any] | None = None

    def init(self, key: Key[Array, ""]) -> Setting:
        """The defaults, for a horizon of 1,000 updates."""
        del key  # unused: nothing is random here
        setting = {"learning_rate": 1e-3 * self.rate_factor, "warmup": 0.0, "decay": 0.0, "num_steps": 1000.0}
        return {name: jnp.float32(value) for name, value in (setting | self.defaults).items()}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """See the class; the horizon is that in `theta`, so that one program serves all."""
        del num_steps  # unused: see above
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes in what it computes from hyper-parameters
            made = self.make(lambda count: learning_rate_at(jnp.asarray(count), theta), theta)
        inner = optax.with_extra_args_support(made)

        def update(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> tuple[Any, Any]:
            with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as above
                return inner.update(updates, state, params, **extra_args)

        return optax.GradientTransformationExtraArgs(inner.init, update)


@dataclass(frozen=True)
class AtRate(LearnedOptimizer):
    """A learned optimizer that leaves its step size to the user, at a learning rate and a schedule.

    `theta` has `theta`, the rule's own, and what `learning_rate_at` wants; updates are multiplied by the learning rate
    over the rule's `step_size`.

    Args:
        rule: with a `step_size`.
        num_steps: the horizon that the rule is told.
    """

    rule: LearnedOptimizer
    num_steps: int

    def init(self, key: Key[Array, ""]) -> Setting:
        """The rule's meta-parameters, at its own step size."""
        setting = {"learning_rate": self._step_size, "warmup": 0.0, "decay": 0.0, "num_steps": float(self.num_steps)}
        return {"theta": self.rule.init(key)} | {name: jnp.float32(value) for name, value in setting.items()}

    def optimizer(self, theta: Any, num_steps: int) -> optax.GradientTransformationExtraArgs:
        """See the class, and `LearnedOptimizer.optimizer`."""
        del num_steps  # unused: told by the field
        return optax.chain(
            self.rule.optimizer(theta["theta"], self.num_steps),
            optax.scale_by_schedule(lambda count: learning_rate_at(jnp.asarray(count), theta) / self._step_size),
        )

    @property
    def _step_size(self) -> float:
        step_size = self.rule.step_size
        assert step_size is not None
        return step_size


def sample_settings(baseline: Baseline, num_trials: int, seed: int) -> list[dict[str, float]]:
    """Settings of a random search: every hyper-parameter log-uniform in its range.

    >>> sorted(sample_settings(BASELINES["nadamw"], 2, seed=0)[0])
    ['learning_rate', 'one_minus_b1', 'weight_decay']
    """
    generator = np.random.default_rng([seed, *baseline.name.encode()])
    return [
        {name: float(np.exp(generator.uniform(*np.log(each)))) for name, each in baseline.space.items()}
        for _ in range(num_trials)
    ]


def _schedule_free(schedule: Schedule, s: Setting) -> Any:
    """`contrib.schedule_free_adamw`, with a warm-up of any length."""
    base = optax.chain(
        optax.scale_by_rms(0.999, 1e-8, eps_in_sqrt=False, bias_correction=True),
        optax.add_decayed_weights(s["weight_decay"]),
        optax.scale_by_learning_rate(schedule),
    )
    return contrib.schedule_free(base, schedule, 1 - s["one_minus_b1"])


ADAMW_SPACE = {"learning_rate": Range(1e-4, 1e-1), "one_minus_b1": Range(4e-3, 0.1), "weight_decay": Range(5e-3, 1.0)}
"""AlgoPerf's for NAdamW (Dahl et al. 2023, arXiv:2306.07179, and its code: second decay .999, 5% warm-up, cosine).
Departures: the learning rate may be ten times larger, up to 0.1, because our tasks are small; label smoothing and
dropout, which change the task, are left out."""

BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("sgd", lambda rate, s: optax.sgd(rate, momentum=0.9), rate_factor=10.0),  # noqa: ARG005 # has none
        Baseline("adam", lambda rate, s: optax.adam(rate)),  # noqa: ARG005
        Baseline(
            "adamw",
            lambda rate, s: optax.adamw(rate, b1=1 - s["one_minus_b1"], weight_decay=s["weight_decay"]),
            {"one_minus_b1": 0.1, "weight_decay": 1e-4},
            space=ADAMW_SPACE,
        ),
        Baseline(
            "nadamw",
            lambda rate, s: optax.nadamw(rate, b1=1 - s["one_minus_b1"], weight_decay=s["weight_decay"]),
            {"one_minus_b1": 0.1, "weight_decay": 1e-4},
            space=ADAMW_SPACE,
        ),
        Baseline("lion", lambda rate, s: optax.lion(rate), rate_factor=0.1),  # noqa: ARG005
        Baseline(
            "muon",
            lambda rate, s: contrib.muon(
                rate, beta=1 - s["one_minus_b1"], weight_decay=s["weight_decay"], consistent_rms=0.2
            ),
            {"one_minus_b1": 0.05, "weight_decay": 0.0},
            space=ADAMW_SPACE,
        ),
        Baseline(
            "schedule_free_adamw",
            _schedule_free,
            {"one_minus_b1": 0.1, "weight_decay": 0.0},
            rate_factor=10.0,
            schedule="constant",
            space=ADAMW_SPACE | {"learning_rate": Range(1e-3, 1.0)},
            params_fn=contrib.schedule_free_eval_params,
        ),
        Baseline("adafactor", lambda rate, s: optax.adafactor(rate), rate_factor=10.0),  # noqa: ARG005
    )
}
"""Baselines by name. Shampoo and SOAP are not among them, because neither optax nor another kept library of ours has
one."""
