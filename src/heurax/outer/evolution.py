"""Evolution: improve `theta` with any distribution-based strategy of evosax, over whole lifetimes."""

import dataclasses
import functools
import inspect
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Key

from heurax.inner import InnerLoop
from heurax.outer.base import REPLICATED, Metrics, OuterLoop
from heurax.outer.optimizer import OuterOptimizer
from heurax.outer.shaping import Shaping, shape_losses
from heurax.outer.tasks_axis import task_indices
from heurax.outer.trees import num_elements
from heurax.outer.unroll import Objective, unroll

__all__ = ["Evolution", "EvolutionState", "strategies"]


def _shape(population: Any, fitness: Array, state: Any, params: Any, *, shaping: Shaping) -> Array:
    """`shape_losses` as evosax calls it."""
    del population, state, params  # unused: the losses say it all
    return shape_losses(fitness, shaping)


SHAPINGS = {name: functools.partial(_shape, shaping=name) for name in ("none", "centred_rank", "z_score")}
"""Shapings that suit a population without pairs."""


@functools.cache
def strategies() -> dict[str, type]:
    """The distribution-based strategies of evosax, by the name that evosax gives them.

    evosax is imported here and not above, because its import starts JAX's backend, after which devices can no longer be
    configured.
    """
    from evosax.algorithms import algorithms
    from evosax.algorithms.distribution_based.base import DistributionBasedAlgorithm

    def fits(strategy: type) -> bool:
        """Whether a population size and an example of theta are enough to make it."""
        arguments = list(inspect.signature(strategy.__init__).parameters.values())[1:]
        needed = [argument.name for argument in arguments if argument.default is inspect.Parameter.empty]
        return issubclass(strategy, DistributionBasedAlgorithm) and needed == ["population_size", "solution"]

    return {name: strategy for name, strategy in algorithms.items() if fits(strategy)}


@struct.dataclass
class EvolutionState:
    """The whole truth of a run by evolution; `theta` is the mean of the search distribution, `step` is `i32[]`."""

    theta: Any
    strategy_state: Any
    key: Any
    step: Any


@dataclass(frozen=True)
class Evolution(OuterLoop):
    """Ask an evosax strategy for a population of `theta`, live whole lifetimes, tell it their losses, repeat.

    All members see the same tasks and data in a generation (common random numbers). The population is sharded over
    devices; every device asks and tells the same strategy. A loss that is not finite counts as the generation's
    worst; where none is finite, `meta_loss` is infinite. Strategies are made for populations that are small against
    the number of meta-parameters, and some fail otherwise.

    Args:
        strategy: a distribution-based strategy of evosax: Open_ES, CMA_ES, Sep_CMA_ES, SNES, PGPE, ...
        population_size: members; >= 2, even for strategies that sample antithetically.
        num_rollouts: lifetimes per member and generation, over which losses are averaged; >= 1.
        sigma: initial standard deviation of the search distribution; > 0.
        optimizer: for strategies that follow a gradient estimate (Open_ES, SNES, PGPE, ...).
        objective: `mean` of the step losses over a lifetime, or `final`: the inner loop's meta-loss at its end.
        shaping: of the losses that the strategy is told: `strategy`, the strategy's own (ranks, for most), `none`,
            `centred_rank` or `z_score`, as in `shape_losses`.
        standardise_rollouts: whether the losses of each rollout are standardised over the population before they are
            averaged over rollouts, so that tasks whose losses have different scales count alike.
        num_steps: generations in a run; >= 1.
    """

    strategy: str = "Open_ES"
    population_size: int = 32
    num_rollouts: int = 1
    sigma: float = 0.01
    optimizer: OuterOptimizer = OuterOptimizer()
    objective: Objective = "mean"
    shaping: Literal["strategy", "none", "centred_rank", "z_score"] = "strategy"
    standardise_rollouts: bool = False
    num_steps: int = 1000

    def __post_init__(self) -> None:
        if self.strategy not in strategies():
            raise ValueError(f"strategy must be one of {', '.join(strategies())}, got {self.strategy!r}")
        for name in ("num_rollouts", "num_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.population_size < 2 or self.population_size % 2:
            raise ValueError(f"population_size must be even and >= 2, got {self.population_size}")
        if not self.sigma > 0:
            raise ValueError(f"sigma must be > 0, got {self.sigma}")
        self.optimizer.build(self.num_steps)  # raises if they do not fit together

    def validate(self, inner: InnerLoop) -> None:
        """LM_MA_ES divides by the number of meta-parameters, of which there must be half as many as members."""
        size = num_elements(jax.eval_shape(inner.rule.init, jax.random.key(0)))
        if self.strategy == "LM_MA_ES" and self.population_size > 2 * size:
            raise ValueError(
                f"population_size of LM_MA_ES must be at most twice the number of meta-parameters, {size}; "
                f"got {self.population_size}"
            )

    @property
    def num_tasks(self) -> int:
        """Members of the population."""
        return self.population_size

    def inner_steps(self, inner: InnerLoop) -> int:
        """Whole lifetimes of every member."""
        return self.population_size * self.num_rollouts * inner.num_steps

    def partition_specs(self, axis_name: str) -> Any:
        """The state is replicated; only the lifetimes within a step are sharded."""
        del axis_name  # unused: nothing in the state has an axis of members
        return REPLICATED

    def init(self, inner: InnerLoop, key: Key[Array, ""], axis_name: str | None = None) -> EvolutionState:
        """A search distribution around fresh meta-parameters."""
        del axis_name  # unused: as in `partition_specs`
        key_theta, key_strategy, key_steps = jax.random.split(key, 3)
        theta = inner.rule.init(key_theta)
        strategy, params = self._strategy(theta)
        return EvolutionState(
            theta=theta,
            strategy_state=_strong(strategy.init(key_strategy, theta, params)),
            key=key_steps,
            step=jnp.zeros([], jnp.int32),
        )

    def step(
        self, inner: InnerLoop, state: EvolutionState, axis_name: str | None = None
    ) -> tuple[EvolutionState, Metrics]:
        """One generation."""
        strategy, params = self._strategy(state.theta)
        key_ask, key_lives, key_tell = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
        population, strategy_state = strategy.ask(key_ask, state.strategy_state, params)
        local = jax.tree.map(lambda x: x[task_indices(self.population_size, axis_name)], population)
        losses, metrics = jax.vmap(functools.partial(self._judge, inner, key=key_lives))(local)
        if axis_name is not None:
            losses = jax.lax.all_gather(losses, axis_name, tiled=True)
            metrics = jax.lax.all_gather(metrics, axis_name, tiled=True)
        finite = jnp.isfinite(losses)
        worst = jnp.max(losses, axis=0, keepdims=True, where=finite, initial=-jnp.inf)
        losses = jnp.where(finite, losses, jnp.where(jnp.isfinite(worst), worst, 0.0))
        fitness = jnp.mean(losses, axis=1)
        told = fitness
        if self.standardise_rollouts:
            told = jnp.mean(jax.vmap(functools.partial(shape_losses, shaping="z_score"), 1, 1)(losses), axis=1)
        strategy_state, _ = strategy.tell(key_tell, population, told, strategy_state, params)
        theta = strategy.get_mean(strategy_state)
        return dataclasses.replace(state, theta=theta, strategy_state=_strong(strategy_state), step=state.step + 1), {
            "meta_loss": jnp.where(jnp.any(finite), jnp.mean(fitness), jnp.inf),
            "best_loss": jnp.min(fitness),
            "theta_norm": optax.tree.norm(theta),
            "nonfinite": jnp.mean((~finite).astype(jnp.float32)),
            **jax.tree.map(jnp.mean, metrics),
        }

    def _judge(self, inner: InnerLoop, theta: Any, key: Key[Array, ""]) -> tuple[Array, Metrics]:
        """The losses of one member in its lifetimes, and mean metrics."""

        def live(key: Key[Array, ""]) -> tuple[Array, Metrics]:
            key_init, key_unroll = jax.random.split(key)
            lifetime = inner.init(theta, key_init)
            _, loss, metrics = unroll(inner, theta, lifetime, key_unroll, inner.num_steps, self.objective)
            return loss, metrics

        losses, metrics = jax.vmap(live)(jax.random.split(key, self.num_rollouts))
        return losses, jax.tree.map(jnp.mean, metrics)

    def _strategy(self, theta: Any) -> tuple[Any, Any]:
        """The evosax strategy and its parameters, with `sigma` and `optimizer` where it takes them."""
        make = strategies()[self.strategy]
        accepted = inspect.signature(make.__init__).parameters
        options: dict[str, Any] = {}
        if "optimizer" in accepted:
            options["optimizer"] = self.optimizer.build(self.num_steps)
        if "std_schedule" in accepted:
            options["std_schedule"] = optax.constant_schedule(self.sigma)
        if self.shaping != "strategy":
            options["fitness_shaping_fn"] = SHAPINGS[self.shaping]
        with jax.ensure_compile_time_eval():  # some compute their defaults with NumPy
            # The example solution gives structure, shapes and dtypes only.
            example = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), theta)
            strategy = make(self.population_size, example, **options)
            params = strategy.default_params
        return strategy, params.replace(std_init=self.sigma) if hasattr(params, "std_init") else params


def _strong(tree: Any) -> Any:
    """Drop weak types: evosax's counters start as Python numbers, and a carry must be a fixed point."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype), tree)
