"""PPO in a single file on gymnax or brax, as a user would write it: what `benchmarks.ppo` compares with.

It follows the habits of the single-file implementations in JAX that people start from: flax modules, gymnax's wrappers,
values and log-probabilities computed while acting, `jax.random.permutation` for every epoch, gathered minibatches, and
a time limit treated as a termination. Nothing of heurax is used.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from flax.training.train_state import TrainState

__all__ = ["Settings", "make_train"]


@dataclass(frozen=True)
class Settings:
    """The settings of a run."""

    name: str
    num_updates: int
    num_envs: int = 64
    num_steps: int = 128
    num_epochs: int = 4
    num_minibatches: int = 4
    hidden_size: int = 64
    activation: str = "tanh"
    learning_rate: float = 2.5e-4
    anneal: bool = True
    discount: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy_weight: float = 0.01
    value_weight: float = 0.5
    max_gradient_norm: float = 0.5
    brax_backend: str | None = None


class ActorCritic(nn.Module):
    """Two perceptrons."""

    num_actions: int
    hidden_size: int
    activation: str
    continuous: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[Any, jax.Array]:
        activation = getattr(nn, self.activation)
        outputs = []
        for size, gain in ((self.num_actions, 0.01), (1, 1.0)):
            h = x
            for _ in range(2):
                h = activation(nn.Dense(self.hidden_size, kernel_init=nn.initializers.orthogonal(np.sqrt(2)))(h))
            outputs.append(nn.Dense(size, kernel_init=nn.initializers.orthogonal(gain))(h))
        if self.continuous:
            log_std = self.param("log_std", nn.initializers.zeros, (self.num_actions,))
            return (outputs[0], log_std), outputs[1][..., 0]
        return outputs[0], outputs[1][..., 0]


def sample(key: jax.Array, pi: Any) -> jax.Array:
    if isinstance(pi, tuple):
        mean, log_std = pi
        return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
    return jax.random.categorical(key, pi)


def log_prob(pi: Any, action: jax.Array) -> jax.Array:
    if isinstance(pi, tuple):
        mean, log_std = pi
        return jnp.sum(-0.5 * ((action - mean) / jnp.exp(log_std)) ** 2 - log_std - 0.5 * jnp.log(2 * jnp.pi), axis=-1)
    return jnp.take_along_axis(jax.nn.log_softmax(pi), action[..., None], axis=-1)[..., 0]


def entropy(pi: Any) -> jax.Array:
    if isinstance(pi, tuple):
        return jnp.sum(pi[1] + 0.5 + 0.5 * jnp.log(2 * jnp.pi)) * jnp.ones(pi[0].shape[:-1])
    log_probs = jax.nn.log_softmax(pi)
    return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


class Env(NamedTuple):
    """A vectorised environment with automatic resets and episode statistics."""

    reset: Callable[..., Any]
    step: Callable[..., Any]
    observation_size: int
    num_actions: int
    continuous: bool


def make_gymnax(name: str) -> Env:
    """An environment of gymnax with its own wrappers."""
    import gymnax
    from gymnax.wrappers.purerl import FlattenObservationWrapper, LogWrapper

    env, params = gymnax.make(name)
    size = int(np.prod(env.observation_space(params).shape))
    num_actions = env.action_space(params).n
    env = LogWrapper(FlattenObservationWrapper(env))

    def step(keys: jax.Array, state: Any, action: jax.Array) -> tuple[Any, ...]:
        observation, state, reward, terminated, truncated, info = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, state, action, params
        )
        done = terminated | truncated
        return observation, state, reward, done, info["returned_episode_returns"], info["returned_episode"]

    return Env(lambda keys: jax.vmap(env.reset, in_axes=(0, None))(keys, params), step, size, num_actions, False)


@struct.dataclass
class BraxState:
    """A brax state with the running statistics of observations and of returns, and an episode's return."""

    env: Any
    mean: jax.Array
    var: jax.Array
    count: jax.Array
    ret: jax.Array
    ret_mean: jax.Array
    ret_var: jax.Array
    ret_count: jax.Array
    episode_return: jax.Array
    returned: jax.Array


def make_brax(name: str, backend: str, discount: float) -> Env:
    """An environment of brax with time limit, automatic reset, and normalised observations and rewards."""
    from brax import envs
    from brax.envs.wrappers import training

    env: Any = envs.get_environment(name, backend=backend)
    env = training.AutoResetWrapper(training.EpisodeWrapper(training.VmapWrapper(env), 1000, 1))

    def merge(mean: jax.Array, var: jax.Array, count: jax.Array, batch: jax.Array) -> tuple[Any, ...]:
        n = batch.shape[0]
        delta, total = batch.mean(0) - mean, count + n
        m2 = var * count + batch.var(0) * n + delta**2 * count * n / total
        return mean + delta * n / total, m2 / total, total

    def reset(keys: jax.Array) -> tuple[jax.Array, BraxState]:
        state = env.reset(jax.random.key_data(keys))
        n, size = state.obs.shape
        mean, var, count = merge(jnp.zeros(size), jnp.ones(size), jnp.asarray(1e-4), state.obs)
        zeros = jnp.zeros(n)
        stats = BraxState(state, mean, var, count, zeros, jnp.zeros(()), jnp.ones(()), jnp.asarray(1e-4), zeros, zeros)
        return (state.obs - mean) / jnp.sqrt(var + 1e-8), stats

    def step(keys: jax.Array, state: BraxState, action: jax.Array) -> tuple[Any, ...]:
        del keys  # unused: brax is deterministic
        inside = env.step(state.env, jnp.clip(action, -1, 1))
        done, reward = inside.done > 0.5, inside.reward
        mean, var, count = merge(state.mean, state.var, state.count, inside.obs)
        ret = state.ret * discount + reward
        ret_mean, ret_var, ret_count = merge(state.ret_mean, state.ret_var, state.ret_count, ret)
        episode_return = state.episode_return + reward
        returned = jnp.where(done, episode_return, state.returned)
        new = BraxState(
            inside,
            mean,
            var,
            count,
            jnp.where(done, 0.0, ret),
            ret_mean,
            ret_var,
            ret_count,
            jnp.where(done, 0.0, episode_return),
            returned,
        )
        observation = (inside.obs - mean) / jnp.sqrt(var + 1e-8)
        return observation, new, reward / jnp.sqrt(ret_var + 1e-8), done, returned, done

    return Env(reset, step, env.observation_size, env.action_size, True)


class Transition(NamedTuple):
    """One step of every environment."""

    done: jax.Array
    action: jax.Array
    value: jax.Array
    reward: jax.Array
    log_prob: jax.Array
    observation: jax.Array
    episode_return: jax.Array
    returned: jax.Array


def make_train(s: Settings) -> Callable[[jax.Array], tuple[Any, jax.Array]]:
    """A function from a key to the final training state and the mean return of the episodes that ended per update."""
    env = make_gymnax(s.name) if s.brax_backend is None else make_brax(s.name, s.brax_backend, s.discount)
    network: Any = ActorCritic(env.num_actions, s.hidden_size, s.activation, env.continuous)

    def schedule(count: Any) -> Any:
        done = (count // (s.num_minibatches * s.num_epochs)) / s.num_updates
        return s.learning_rate * (1 - done) if s.anneal else s.learning_rate

    def loss_fn(params: Any, batch: Transition, advantage: jax.Array, target: jax.Array) -> jax.Array:
        pi, value = network.apply(params, batch.observation)
        clipped = batch.value + (value - batch.value).clip(-s.clip, s.clip)
        value_loss = 0.5 * jnp.maximum((value - target) ** 2, (clipped - target) ** 2).mean()
        ratio = jnp.exp(log_prob(pi, batch.action) - batch.log_prob)
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        policy_loss = -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - s.clip, 1 + s.clip) * advantage).mean()
        return policy_loss + s.value_weight * value_loss - s.entropy_weight * entropy(pi).mean()

    def env_step(carry: Any, _: None) -> tuple[Any, Transition]:
        train_state, env_state, observation, key = carry
        key, key_action, key_step = jax.random.split(key, 3)
        pi, value = network.apply(train_state.params, observation)
        action = sample(key_action, pi)
        keys = jax.random.split(key_step, s.num_envs)
        next_observation, env_state, reward, done, episode_return, returned = env.step(keys, env_state, action)
        transition = Transition(
            done, action, value, reward, log_prob(pi, action), observation, episode_return, returned
        )
        return (train_state, env_state, next_observation, key), transition

    def gae_step(carry: Any, now: Transition) -> tuple[Any, jax.Array]:
        gae, next_value = carry
        delta = now.reward + s.discount * next_value * (1 - now.done) - now.value
        gae = delta + s.discount * s.gae_lambda * (1 - now.done) * gae
        return (gae, now.value), gae

    def minibatch_step(train_state: TrainState, batch: Any) -> tuple[TrainState, jax.Array]:
        loss, grads = jax.value_and_grad(loss_fn)(train_state.params, *batch)
        return train_state.apply_gradients(grads=grads), loss

    def epoch_step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        train_state, batch, key = carry
        key, key_permutation = jax.random.split(key)
        size = s.num_envs * s.num_steps
        permutation = jax.random.permutation(key_permutation, size)
        flat = jax.tree.map(lambda x: x.reshape((size, *x.shape[2:])), batch)
        shuffled = jax.tree.map(lambda x: jnp.take(x, permutation, axis=0), flat)
        minibatches = jax.tree.map(lambda x: x.reshape((s.num_minibatches, -1, *x.shape[1:])), shuffled)
        train_state, losses = jax.lax.scan(minibatch_step, train_state, minibatches)
        return (train_state, batch, key), losses

    def update_step(carry: Any, _: None) -> tuple[Any, jax.Array]:
        carry, trajectory = jax.lax.scan(env_step, carry, None, s.num_steps)
        train_state, env_state, observation, key = carry
        _, last_value = network.apply(train_state.params, observation)
        _, advantage = jax.lax.scan(
            gae_step, (jnp.zeros_like(last_value), last_value), trajectory, reverse=True, unroll=16
        )
        batch = (trajectory, advantage, advantage + trajectory.value)
        (train_state, batch, key), _losses = jax.lax.scan(epoch_step, (train_state, batch, key), None, s.num_epochs)
        returns = jnp.sum(jnp.where(trajectory.returned, trajectory.episode_return, 0))
        mean_return = returns / trajectory.returned.sum()  # NaN if no episode ended
        return (train_state, env_state, observation, key), mean_return

    def train(key: jax.Array) -> tuple[Any, jax.Array]:
        key, key_network, key_reset = jax.random.split(key, 3)
        params = network.init(key_network, jnp.zeros((env.observation_size,)))
        optimizer = optax.chain(optax.clip_by_global_norm(s.max_gradient_norm), optax.adam(schedule, eps=1e-5))
        train_state = TrainState.create(apply_fn=network.apply, params=params, tx=optimizer)
        observation, env_state = env.reset(jax.random.split(key_reset, s.num_envs))
        carry, returns = jax.lax.scan(update_step, (train_state, env_state, observation, key), None, s.num_updates)
        return carry[0], returns

    return functools.partial(train)
