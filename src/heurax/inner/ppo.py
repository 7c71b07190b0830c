"""Proximal policy optimisation as an inner loop: the drift, or the optimizer, is what is discovered."""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Key

from heurax.envs import Catch, Environment, VectorState, reset_batch
from heurax.envs.normalise import (
    init_reward_scale,
    init_statistics,
    scale_rewards,
    standardise,
    update_statistics,
)
from heurax.inner.agent import Agent
from heurax.inner.base import InnerLoop, StepResult
from heurax.inner.experience import (
    Episodes,
    Experience,
    Observe,
    collect,
    evaluate,
    expected_return,
    floor_return,
    recent_episodes,
)
from heurax.inner.minibatches import minibatch_indices
from heurax.inner.networks import MLPNetwork, Network
from heurax.inner.policies import Policy, default_policy
from heurax.inner.ppo_loss import ppo_loss
from heurax.inner.samples import Samples, make_samples
from heurax.rules import LPO, Drift, DriftFunction, LearnedOptimizer, OptaxOptimizer, PPOClip, Rule

__all__ = ["PPO", "PPOState"]


@struct.dataclass
class PPOState:
    """An agent in training.

    `level` is the problem it was given; `episodes` what is known of the last episodes; `step` (`i32[]`) counts updates.
    What is not normalised has an empty tuple for its statistics.
    """

    level: Any
    params: Any
    optimizer_state: Any
    environment: VectorState
    memory: Any
    observation_statistics: Any
    reward_scale: Any
    episodes: Any
    step: Any


@dataclass(frozen=True)
class PPO(InnerLoop):
    """Train an agent by policy gradients with a drift, on a level sampled from an environment.

    A step is one update: `num_envs` copies of the environment are played for `num_rollout_steps` each; the advantages
    of what happened are estimated; then `num_epochs` times the experience is dealt into `num_minibatches`, on each of
    which the optimizer makes one step on

        -mean(r A - drift(log r, A, n / N)) + value_weight * value loss - entropy_weight * entropy.

    A step reports minus the mean return of the episodes that ended in it, or, if none did, what it reported before;
    until the first has ended, the mean return so far of those under way. Divergence is normal: a return that is not
    finite, or is below `return_floor`, counts as `return_floor`, and `metrics["nonfinite"]` counts returns and losses
    that are not finite.

    Sources: Schulman et al. 2017, arXiv:1707.06347; details, Huang et al. 2022, "The 37 implementation details of PPO";
    drifts, Lu et al. 2022, arXiv:2210.05639. Departures from common code: an episode cut off by a time limit is
    bootstrapped from its true last observation; normalisation statistics are updated once per rollout, not within.

    Args:
        rule: what is discovered: a drift or a learned optimizer. The other of the two is fixed.
        env: the distribution that each lifetime's problem is drawn from.
        num_steps: the horizon, in updates; >= 1.
        num_envs: copies of the environment; >= 1.
        num_rollout_steps: steps of each copy per update; >= 1.
        num_epochs: passes over the experience of an update; >= 1.
        num_minibatches: optimizer steps per pass; divides `num_envs * num_rollout_steps`, for a network with memory
            `num_envs`.
        discount: of future rewards; in [0, 1].
        trace_decay: lambda of generalised advantage estimation; in [0, 1].
        normalise_advantages: whether advantages are standardised within each minibatch.
        entropy_weight: >= 0.
        value_weight: >= 0.
        value_clip: how far a value may move from the old one before its loss ends, as the ratio in PPO; > 0, or None.
        max_gradient_norm: to which gradients are clipped; > 0. `.inf` does not clip.
        drift: the fixed drift, where the rule is not one. Its `theta` is that of its `init`.
        optimizer: the fixed optimizer, where the rule is not one. Likewise. A config that names the default's class
            keeps what it does not set of it, here the linear schedule.
        network: of the agent.
        policy: of the agent; None takes the one that fits the action space.
        normalise_observations: whether the agent sees observations standardised by running statistics.
        normalise_rewards: whether it learns from rewards divided by the running deviation of their discounted sum.
        num_eval_episodes: fresh episodes by which `meta_loss` judges an agent; 0 takes the recent training episodes.
        max_eval_steps: after which an evaluation episode counts as it stands; >= 1.
        greedy_eval: whether evaluation takes the most likely actions, or samples.
        return_floor: the lowest return that is reported; finite.
    """

    rule: Rule = LPO()
    env: Environment = Catch()
    num_steps: int = 100
    num_envs: int = 64
    num_rollout_steps: int = 32
    num_epochs: int = 4
    num_minibatches: int = 4
    discount: float = 0.99
    trace_decay: float = 0.95
    normalise_advantages: bool = True
    entropy_weight: float = 0.01
    value_weight: float = 0.5
    value_clip: float | None = 0.2
    max_gradient_norm: float = 0.5
    drift: Drift = PPOClip()
    optimizer: LearnedOptimizer = OptaxOptimizer("adam", 2.5e-4, {"eps": 1e-5}, schedule="linear")
    network: Network = MLPNetwork()
    policy: Policy | None = None
    normalise_observations: bool = False
    normalise_rewards: bool = False
    num_eval_episodes: int = 0
    max_eval_steps: int = 1000
    greedy_eval: bool = False
    return_floor: float = -1e6

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_envs", "num_rollout_steps", "num_epochs", "num_minibatches", "max_eval_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("discount", "trace_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        for name in ("entropy_weight", "value_weight", "num_eval_episodes"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        for name in ("value_clip", "max_gradient_norm"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if not math.isfinite(self.return_floor):
            raise ValueError(f"return_floor must be finite, got {self.return_floor}")
        if not isinstance(self.rule, Drift | LearnedOptimizer):
            raise ValueError(f"rule must be a drift or a learned optimizer, got {type(self.rule).__name__}")
        if self._num_units % self.num_minibatches:
            of_what = "num_envs" if self.network.has_memory else "num_envs * num_rollout_steps"
            raise ValueError(f"num_minibatches must divide {of_what} = {self._num_units}, got {self.num_minibatches}")
        self.agent.policy.check(self.env.action_space)
        self.agent.network.check(self.env.observation_shape)

    @property
    def agent(self) -> Agent:
        """The network and policy, fitted to the environment."""
        space = self.env.action_space
        return Agent(self.network, self.policy or default_policy(space), self.env.observation_shape, space)

    def init(self, theta: Any, key: Key[Array, ""]) -> PPOState:
        """Sample a level, begin its episodes, initialise the agent and its optimizer."""
        key_level, key_reset, key_params = jax.random.split(key, 3)
        level = self.env.sample(key_level)
        environment = reset_batch(self.env, level, key_reset, self.num_envs)
        params = self.agent.init(key_params)
        statistics = ()
        if self.normalise_observations:
            statistics = update_statistics(init_statistics(self.env.observation_shape), environment.observation)
        return PPOState(
            level=level,
            params=params,
            optimizer_state=self._optimizer(theta).init(params),
            environment=environment,
            memory=self.agent.memories(self.num_envs),
            observation_statistics=statistics,
            reward_scale=init_reward_scale(self.num_envs) if self.normalise_rewards else (),
            episodes=Episodes(jnp.zeros([], jnp.float32), jnp.zeros([], jnp.float32)),
            step=jnp.zeros([], jnp.int32),
        )

    def step(self, theta: Any, state: PPOState, key: Key[Array, ""]) -> tuple[PPOState, StepResult]:
        """One update: a rollout, and the optimizer's steps on it."""
        key_collect, key_learn = jax.random.split(key)
        environment, memory, experience = collect(
            self.agent,
            state.params,
            self.env,
            state.level,
            state.environment,
            state.memory,
            self._observe(state),
            key_collect,
            self.num_rollout_steps,
        )
        rewarded, reward_scale = self._scale_rewards(state, experience)
        samples = make_samples(
            self.agent,
            state.params,
            self._observe(state),
            rewarded,
            memory,
            environment.observation,
            self.discount,
            self.trace_decay,
        )
        params, optimizer_state, metrics = self._learn(theta, state, samples, key_learn)
        statistics = state.observation_statistics
        if self.normalise_observations:
            statistics = update_statistics(statistics, experience.observation)
        episodes = recent_episodes(state.episodes, experience)
        reported, nonfinite = floor_return(expected_return(episodes, environment), self.return_floor)
        nonfinite |= ~jnp.isfinite(metrics["loss"])
        metrics = {name: jnp.where(jnp.isfinite(value), value, 0.0) for name, value in metrics.items()}
        new_state = PPOState(
            level=state.level,
            params=params,
            optimizer_state=optimizer_state,
            environment=environment,
            memory=memory,
            observation_statistics=statistics,
            reward_scale=reward_scale,
            episodes=episodes,
            step=state.step + 1,
        )
        return new_state, StepResult(
            -reported,
            metrics
            | {
                "episode_return": reported,
                "episode_length": episodes.mean_length,
                "nonfinite": nonfinite.astype(jnp.float32),
            },
        )

    def meta_loss(self, theta: Any, state: PPOState, key: Key[Array, ""]) -> Float[Array, ""]:
        """Minus the mean return of fresh episodes, or of the recent ones."""
        del theta  # unused: the agent is judged as it stands
        returns = expected_return(state.episodes, state.environment)
        if self.num_eval_episodes:
            returns = self.evaluate(state, key, self.num_eval_episodes, greedy=self.greedy_eval)
        return -floor_return(jnp.mean(returns), self.return_floor)[0]

    def evaluate(
        self, state: PPOState, key: Key[Array, ""], num_episodes: int, *, greedy: bool = False
    ) -> Float[Array, " num_episodes"]:
        """Returns of fresh episodes on the state's level, as they are, not capped."""
        observe = self._observe(state)
        return evaluate(
            self.agent,
            state.params,
            self.env,
            state.level,
            observe,
            key,
            num_episodes=num_episodes,
            max_steps=self.max_eval_steps,
            greedy=greedy,
        )

    def params(self, state: PPOState) -> Any:
        """The parameters of the agent."""
        return state.params

    def with_params(self, state: PPOState, params: Any) -> PPOState:
        """The same training with another agent."""
        return dataclasses.replace(state, params=params)

    @property
    def _num_units(self) -> int:
        """What is dealt into minibatches: steps, or whole trajectories if the agent has a memory."""
        return self.num_envs if self.network.has_memory else self.num_envs * self.num_rollout_steps

    def _observe(self, state: PPOState) -> Observe:
        if not self.normalise_observations:
            return lambda observation: observation
        return functools.partial(standardise, state.observation_statistics)

    def _scale_rewards(self, state: PPOState, experience: Experience) -> tuple[Experience, Any]:
        """The experience with the rewards that the agent learns from, and the new scale."""
        if not self.normalise_rewards:
            return experience, ()
        scale, reward = jax.lax.scan(
            lambda scale, now: scale_rewards(scale, *now, self.discount),
            state.reward_scale,
            (experience.reward, experience.ended),
        )
        return experience._replace(reward=reward), scale

    def _learn(
        self, theta: Any, state: PPOState, samples: Samples, key: Key[Array, ""]
    ) -> tuple[Any, Any, dict[str, Float[Array, ""]]]:
        """All optimizer steps of an update: parameters, optimizer state, mean metrics."""
        optimizer = self._optimizer(theta)
        loss_fn = functools.partial(
            ppo_loss,
            agent=self.agent,
            drift=self._drift(theta),
            progress=state.step.astype(jnp.float32) / self.num_steps,
            normalise_advantages=self.normalise_advantages,
            entropy_weight=self.entropy_weight,
            value_weight=self.value_weight,
            value_clip=self.value_clip,
        )

        def step(carry: tuple[Any, Any], now: tuple[Array, Array, Array]) -> tuple[tuple[Any, Any], Any]:
            (params, optimizer_state), (indices, key, epoch) = carry, now
            minibatch = jax.tree.map(
                lambda x: x.at[indices].get(mode="promise_in_bounds", unique_indices=True), samples
            )
            (loss, metrics), gradient = jax.value_and_grad(loss_fn, has_aux=True)(params, samples=minibatch)
            updates, optimizer_state = optimizer.update(
                gradient,
                optimizer_state,
                params,
                value=loss,
                key=key,
                activations=self._activity(params, minibatch),
                training_proportion=state.step.astype(jnp.float32) / max(self.num_steps - 1, 1),
                batch_proportion=epoch,
            )
            params = optax.apply_updates(params, updates)
            return (params, optimizer_state), metrics | {"loss": loss, "gradient_norm": optax.tree.norm(gradient)}

        key_deal, key_updates = jax.random.split(key)
        deal = functools.partial(minibatch_indices, num_samples=self._num_units, num_minibatches=self.num_minibatches)
        indices = jax.vmap(deal)(jax.random.split(key_deal, self.num_epochs))
        num_updates = self.num_epochs * self.num_minibatches
        epochs = jnp.linspace(0, 1, self.num_epochs, dtype=jnp.float32).repeat(self.num_minibatches)
        (params, optimizer_state), metrics = jax.lax.scan(
            step,
            (state.params, state.optimizer_state),
            (indices.reshape(num_updates, -1), jax.random.split(key_updates, num_updates), epochs),
        )
        return params, optimizer_state, jax.tree.map(jnp.mean, metrics)

    def _activity(self, params: Any, samples: Samples) -> Any:
        """How active the agent's units are on a minibatch; costs nothing where the optimizer does not look at it."""
        memory, observation = samples.memory, samples.observation
        if self.network.has_memory:
            memory = jax.vmap(self.agent.memories_along, (None, 0, 0, 0))(params, memory, observation, samples.ended)
            memory, observation = jax.tree.map(lambda x: x.reshape((-1, *x.shape[2:])), (memory, observation))
        return self.agent.activity(params, memory, observation)

    def _drift(self, theta: Any) -> DriftFunction:
        if isinstance(self.rule, Drift):
            return self.rule.drift(theta)
        return self.drift.drift(self.drift.init(jax.random.key(0)))

    def _optimizer(self, theta: Any) -> optax.GradientTransformationExtraArgs:
        num_updates = self.num_steps * self.num_epochs * self.num_minibatches
        if isinstance(self.rule, LearnedOptimizer):
            optimizer = self.rule.optimizer(theta, num_updates)
        else:
            optimizer = self.optimizer.optimizer(self.optimizer.init(jax.random.key(0)), num_updates)
        if math.isinf(self.max_gradient_norm):
            return optimizer
        clip = optax.clip_by_global_norm(self.max_gradient_norm)
        return optax.with_extra_args_support(optax.chain(clip, optimizer))
