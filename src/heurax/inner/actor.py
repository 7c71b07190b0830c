"""Agents that learn by an objective: one inner loop for A2C and for every rule that is discovered."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float, Key

from heurax.envs import Catch, Discrete, Environment, VectorState, reset_batch
from heurax.inner.activity import unit_activity
from heurax.inner.agent import Agent
from heurax.inner.base import InnerLoop, StepResult
from heurax.inner.experience import (
    Episodes,
    Experience,
    collect,
    evaluate,
    expected_return,
    floor_return,
    recent_episodes,
)
from heurax.inner.experience_replay import ExperienceReplay, Rollout
from heurax.inner.meta_critic import Critic
from heurax.inner.policies import Categorical
from heurax.inner.torsos import HeadedNetwork, MLPTorso, Torso
from heurax.rules import (
    LPG,
    ActorCritic,
    LearnedOptimizer,
    Objective,
    ObjectiveRule,
    OptaxOptimizer,
    Outputs,
    Rule,
    Trajectory,
)

__all__ = ["ActorState", "ActorTraining"]


@struct.dataclass
class ActorState:
    """An agent in training.

    `level` is the problem it was given and `length` (`i32[]`) the updates of its life; `target_params` are empty for
    rules without a target network, `replay` and `critic` where there is none. `regulariser` (`f32[]`) is a moving
    average of the rule's own; `step` (`i32[]`) counts updates.
    """

    level: Any
    length: Any
    params: Any
    target_params: Any
    optimizer_state: Any
    rule_state: Any
    environment: VectorState
    replay: Any
    critic: Any
    regulariser: Any
    episodes: Any
    step: Any


@dataclass(frozen=True)
class ActorTraining(InnerLoop):
    """Train an agent by an objective, on a level sampled from an environment.

    A step is one update: `num_envs` copies of the environment are played for `num_rollout_steps` each; the rule makes
    targets of what happened, and with `replay` of what happened before, and of what the agent makes of it; the
    optimizer makes one step on the rule's mean loss; the target network follows, if the rule has one. The network is
    built from what the rule declares.

    A step reports minus the mean return of the episodes that ended in it, as `PPO` does. `meta_loss` is minus the mean
    return, of recent or of fresh episodes; or, with `critic`, a surrogate whose gradient is that of the return,

        -mean(log pi(a | s) A) - entropy_bonus H(pi) + the rule's regulariser,

    on a fresh rollout from where the environments are, with standardised generalised advantages A of a critic that
    learns beside the agent. No gradient reaches the critic, and none passes through rollouts.

    A lifetime has `num_steps` updates, or, with `shortest`, a number of them drawn log-uniformly up to that, which the
    rule is told; after it, the agent stays as it is.

    Sources: the meta-loss, Oh et al. 2020, arXiv:2007.08794, with the standardised advantages of GROOVE, Jackson et al.
    2023, arXiv:2310.02782; lifetimes of many lengths, Jackson et al. 2024, arXiv:2402.05828. Departures: the
    regularisers are averaged with decay over the last updates, not evenly over a window; the rollout of the meta-loss
    is not continued by the agent; an episode that a time limit cuts off is taken as ended.

    Args:
        rule: what is discovered: an objective or a learned optimizer. The other of the two is fixed.
        env: the distribution that each lifetime's problem is drawn from; with discrete actions.
        num_steps: the horizon, in updates; >= 1.
        num_envs: copies of the environment; >= 1.
        num_rollout_steps: steps of each copy per update; >= 1.
        shortest: updates of the shortest lifetime, from 1 to `num_steps`; None for lifetimes that all last for it.
        objective: the fixed objective, where the rule is not one. Its `theta` is that of its `init`.
        optimizer: the fixed optimizer, where the rule is not one. Likewise. Meta-gradients through Adam need its
            `eps_root`: without it they are not finite where a gradient is 0.
        max_gradient_norm: to which gradients are clipped; > 0. `.inf` does not clip.
        torso: what the agent's outputs share.
        action_model: units of the model that heads per action look through; >= 1, or None for linear heads.
        replay: of past rollouts, or None to learn from fresh ones alone.
        critic: by which the meta-loss is made differentiable, or None.
        entropy_bonus: of the policy, in the differentiable meta-loss; >= 0.
        num_eval_episodes: fresh episodes by which `meta_loss` judges an agent; 0 takes the recent training episodes.
        max_eval_steps: after which an evaluation episode counts as it stands; >= 1.
        greedy_eval: whether evaluation takes the most likely actions, or samples.
        return_floor: the lowest return that is reported; finite.
    """

    rule: Rule = LPG()
    env: Environment = Catch()
    num_steps: int = 100
    num_envs: int = 64
    num_rollout_steps: int = 20
    shortest: int | None = None
    objective: ObjectiveRule = ActorCritic()
    optimizer: LearnedOptimizer = OptaxOptimizer("adam", 1e-3, {"eps_root": 1e-16})
    max_gradient_norm: float = math.inf
    torso: Torso = MLPTorso()
    action_model: int | None = None
    replay: ExperienceReplay | None = None
    critic: Critic | None = None
    entropy_bonus: float = 0.05
    num_eval_episodes: int = 0
    max_eval_steps: int = 1000
    greedy_eval: bool = False
    return_floor: float = -1e6

    def __post_init__(self) -> None:
        for name in ("num_steps", "num_envs", "num_rollout_steps", "max_eval_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.shortest is not None and not 1 <= self.shortest <= self.num_steps:
            raise ValueError(f"shortest must be between 1 and num_steps = {self.num_steps}, got {self.shortest}")
        for name in ("entropy_bonus", "num_eval_episodes"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not self.max_gradient_norm > 0:
            raise ValueError(f"max_gradient_norm must be > 0, got {self.max_gradient_norm}")
        if self.action_model is not None and self.action_model < 1:
            raise ValueError(f"action_model must be >= 1, got {self.action_model}")
        if not math.isfinite(self.return_floor):
            raise ValueError(f"return_floor must be finite, got {self.return_floor}")
        if not isinstance(self.rule, ObjectiveRule | LearnedOptimizer):
            raise ValueError(f"rule must be an objective or a learned optimizer, got {type(self.rule).__name__}")
        if not isinstance(self.env.action_space, Discrete):
            name = type(self._objective_rule).__name__
            raise ValueError(f"{name} needs discrete actions; the environment's are {self.env.action_space}")
        self.torso.check(self.env.observation_shape)

    @property
    def network(self) -> HeadedNetwork:
        """The network with all that the objective declares."""
        num_actions = self._num_actions
        return HeadedNetwork(self.torso, self._objective_rule.heads(num_actions), num_actions, self.action_model)

    @property
    def agent(self) -> Agent:
        """Who acts: the same network, of which it computes the policy alone."""
        network = dataclasses.replace(self.network, heads=self.network.heads[:1])
        return Agent(network, Categorical(), self.env.observation_shape, self.env.action_space)

    def look(self, params: Any, observation: Float[Array, "time batch *observation"]) -> Outputs:
        """All outputs of an agent for a batch of trajectories."""
        learner = self.network.learner()
        one = lambda x: learner.apply({"params": params}, x)  # noqa: E731
        return jax.vmap(jax.vmap(one))(observation)  # pyright: ignore[reportReturnType] # flax's type has mutables

    def init(self, theta: Any, key: Key[Array, ""]) -> ActorState:
        """Sample a level, and begin a lifetime on it."""
        return self.begin(theta, self.env.sample(jax.random.split(key, 5)[0]), key)

    def begin(self, theta: Any, level: Any, key: Key[Array, ""]) -> ActorState:
        """Sample a length, begin the episodes on a level, initialise the agent, its optimizer and the rule."""
        _, key_reset, key_params, key_critic, key_length = jax.random.split(key, 5)
        shape = self.env.observation_shape
        params = self.network.learner().init(key_params, jnp.zeros(shape, jnp.float32))["params"]
        replay, critic = (), ()
        if self.replay is not None:
            replay = self.replay.init(Rollout.zeros(self.num_rollout_steps, self.num_envs, shape, self._num_actions))
        if self.critic is not None:
            critic = self.critic.init(self.torso, shape, key_critic)
        return ActorState(
            level=level,
            length=self._sample_length(key_length),
            params=params,
            target_params=() if self._objective_rule.target_decay is None else params,
            optimizer_state=self._optimizer(theta).init(params),
            rule_state=self._objective(theta).init(),
            environment=reset_batch(self.env, level, key_reset, self.num_envs),
            replay=replay,
            critic=critic,
            regulariser=jnp.zeros([], jnp.float32),
            episodes=Episodes(jnp.zeros([], jnp.float32), jnp.zeros([], jnp.float32)),
            step=jnp.zeros([], jnp.int32),
        )

    def step(self, theta: Any, state: ActorState, key: Key[Array, ""]) -> tuple[ActorState, StepResult]:
        """One update: a rollout, targets, and a step of the optimizer on them."""
        key_collect, key_update = jax.random.split(key)
        environment, experience, fresh = self.play(state, key_collect)
        replay, rollout = state.replay, fresh
        if self.replay is not None:
            key_update, key_replay = jax.random.split(key_update)
            replay, rollout = self.replay.mix(replay, fresh, key_replay)
        learned, metrics = self._learn(theta, state, rollout, key_update)
        critic = state.critic
        if self.critic is not None:
            critic, value_loss = self.critic.update(self.torso, critic, fresh.observation, experience)
            metrics = metrics | {"critic_loss": value_loss}
        alive = state.step < state.length
        learned = jax.tree.map(lambda new, old: jnp.where(alive, new, old), learned, state)
        episodes = recent_episodes(state.episodes, experience)
        reported, nonfinite = floor_return(expected_return(episodes, environment), self.return_floor)
        nonfinite |= ~jnp.isfinite(metrics["loss"])
        metrics = {name: jnp.where(jnp.isfinite(value), value, 0.0) for name, value in metrics.items()}
        new_state = dataclasses.replace(
            learned, environment=environment, replay=replay, critic=critic, episodes=episodes, step=state.step + 1
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

    def play(self, state: ActorState, key: Key[Array, ""]) -> tuple[VectorState, Experience, Rollout]:
        """A rollout, through which no gradient passes: where the environments then are, and what happened."""
        params = jax.lax.stop_gradient(state.params)
        environment, _, experience = collect(
            self.agent,
            params,
            self.env,
            state.level,
            state.environment,
            self.agent.memories(self.num_envs),
            _as_it_is,
            key,
            self.num_rollout_steps,
        )
        return environment, experience, Rollout.of(experience, environment.observation)

    def trajectory(self, state: ActorState, rollout: Rollout, outputs: Outputs) -> Trajectory:
        """What the rule is shown of a rollout, given the agent's outputs for its observations."""
        has_target = self._objective_rule.target_decay is not None
        return Trajectory(
            outputs=outputs,
            target_outputs=self.look(state.target_params, rollout.observation) if has_target else {},
            behaviour_logits=rollout.behaviour_logits,
            action=rollout.action,
            reward=rollout.reward,
            ended=rollout.ended,
            step=state.step.astype(jnp.float32),
            num_steps=state.length.astype(jnp.float32),
        )

    def meta_loss(self, theta: Any, state: ActorState, key: Key[Array, ""]) -> Float[Array, ""]:
        """Minus the mean return, or the differentiable surrogate; see the class."""
        del theta  # unused: the agent is judged as it stands
        if self.critic is not None:
            return self._surrogate(self.critic, state, key)
        returns = expected_return(state.episodes, state.environment)
        if self.num_eval_episodes:
            returns = self.evaluate(state, key, self.num_eval_episodes, greedy=self.greedy_eval)
        return -floor_return(jnp.mean(returns), self.return_floor)[0]

    def evaluate(
        self, state: ActorState, key: Key[Array, ""], num_episodes: int, *, greedy: bool = False
    ) -> Float[Array, " num_episodes"]:
        """Returns of fresh episodes on the state's level, as they are, not capped."""
        return evaluate(
            self.agent,
            state.params,
            self.env,
            state.level,
            _as_it_is,
            key,
            num_episodes=num_episodes,
            max_steps=self.max_eval_steps,
            greedy=greedy,
        )

    def params(self, state: ActorState) -> Any:
        """The parameters of the agent."""
        return state.params

    def with_params(self, state: ActorState, params: Any) -> ActorState:
        """The same training with another agent."""
        return dataclasses.replace(state, params=params)

    @property
    def _objective_rule(self) -> ObjectiveRule:
        return self.rule if isinstance(self.rule, ObjectiveRule) else self.objective

    @property
    def _num_actions(self) -> int:
        space = self.env.action_space
        assert isinstance(space, Discrete)
        return space.num_actions

    def _learn(
        self, theta: Any, state: ActorState, rollout: Rollout, key: Key[Array, ""]
    ) -> tuple[ActorState, dict[str, Array]]:
        """The state after the agent has learned from a rollout."""
        observation = rollout.observation
        objective, decay = self._objective(theta), self._objective_rule.target_decay
        outputs, pull_back = jax.vjp(lambda params: self.look(params, observation), state.params)
        trajectory = self.trajectory(state, rollout, outputs)
        targets, rule_state = objective.targets(state.rule_state, trajectory)

        def mean_loss(outputs: Outputs) -> tuple[Array, dict[str, Array]]:
            loss, metrics = objective.loss(outputs, trajectory, targets)
            return jnp.mean(loss), metrics

        (loss, metrics), of_outputs = jax.value_and_grad(mean_loss, has_aux=True)(outputs)
        (gradient,) = pull_back(of_outputs)
        updates, optimizer_state = self._optimizer(theta).update(
            gradient,
            state.optimizer_state,
            state.params,
            value=loss,
            key=key,
            activations=unit_activity(
                self.network.learner(), state.params, observation.reshape((-1, *self.env.observation_shape))
            ),
            training_proportion=trajectory.step / jnp.maximum(trajectory.num_steps - 1, 1.0),
            batch_proportion=jnp.zeros([], jnp.float32),
        )
        target_params = state.target_params
        if decay is not None:
            follow = lambda old, new: decay * old + (1 - decay) * new  # noqa: E731
            target_params = jax.tree.map(follow, state.target_params, state.params)
        regulariser = metrics.get("regulariser", jnp.zeros([], jnp.float32))
        log_policy = jax.nn.log_softmax(outputs[self.network.heads[0].name])
        return dataclasses.replace(
            state,
            params=optax.apply_updates(state.params, updates),
            target_params=target_params,
            optimizer_state=optimizer_state,
            rule_state=rule_state,
            regulariser=REGULARISER_DECAY * state.regulariser + (1 - REGULARISER_DECAY) * regulariser,
        ), metrics | {
            "loss": loss,
            "entropy": -jnp.mean(jnp.sum(jnp.exp(log_policy) * log_policy, axis=-1)),
            "gradient_norm": optax.tree.norm(gradient),
            "update_norm": optax.tree.norm(updates),
        }

    def _surrogate(self, critic: Critic, state: ActorState, key: Key[Array, ""]) -> Float[Array, ""]:
        _, experience, rollout = self.play(state, key)
        observation = rollout.observation
        advantage = critic.advantages(self.torso, state.critic, observation, experience)
        log_policy = jax.nn.log_softmax(self.look(state.params, observation[:-1])[self.network.heads[0].name])
        log_prob = jnp.take_along_axis(log_policy, experience.action[..., None], axis=-1)[..., 0]
        entropy = -jnp.mean(jnp.sum(jnp.exp(log_policy) * log_policy, axis=-1))
        loss = -jnp.mean(log_prob * advantage) - self.entropy_bonus * entropy + state.regulariser
        return jnp.where(jnp.isfinite(loss), loss, -self.return_floor)

    def _sample_length(self, key: Key[Array, ""]) -> Array:
        if self.shortest is None:
            return jnp.full([], self.num_steps, jnp.int32)
        exponent = jax.random.uniform(key, minval=math.log(self.shortest), maxval=math.log(self.num_steps + 1))
        return jnp.clip(jnp.exp(exponent).astype(jnp.int32), self.shortest, self.num_steps)

    def _objective(self, theta: Any) -> Objective:
        rule = self._objective_rule
        return rule.objective(theta if rule is self.rule else rule.init(jax.random.key(0)))

    def _optimizer(self, theta: Any) -> optax.GradientTransformationExtraArgs:
        if isinstance(self.rule, LearnedOptimizer):
            optimizer = self.rule.optimizer(theta, self.num_steps)
        else:
            optimizer = self.optimizer.optimizer(self.optimizer.init(jax.random.key(0)), self.num_steps)
        if math.isinf(self.max_gradient_norm):
            return optimizer
        clip = optax.clip_by_global_norm(self.max_gradient_norm)
        return optax.with_extra_args_support(optax.chain(clip, optimizer))


REGULARISER_DECAY = 0.8
"""Regularisers count as those of about five updates, the window that LPG is trained with."""


def _as_it_is(observation: Array) -> Array:
    return observation
