"""Running statistics against NumPy's statistics of everything at once."""

import jax
import jax.numpy as jnp
import numpy as np

from heurax.envs import init_reward_scale, init_statistics, scale_rewards, standardise, update_statistics


def test_statistics_of_batches_are_those_of_all_values():
    generator = np.random.default_rng(0)
    data = generator.normal([100.0, -3.0], [0.1, 20.0], (6, 5, 4, 2)).astype(np.float32)
    statistics = init_statistics((2,))
    update = jax.jit(update_statistics)
    for batch in data:
        statistics = update(statistics, batch)
    seen = data.reshape(-1, 2).astype(np.float64)
    assert statistics.count == len(seen)
    np.testing.assert_allclose(statistics.mean, seen.mean(0), rtol=1e-6)
    np.testing.assert_allclose(statistics.variance, seen.var(0), rtol=2e-3)  # 100 +- 0.1 in float32
    scaled = np.asarray(standardise(statistics, jnp.asarray(data)))
    np.testing.assert_allclose(scaled.reshape(-1, 2).mean(0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.reshape(-1, 2).std(0), 1, rtol=2e-3)
    assert np.abs(standardise(statistics, jnp.full((2,), 1e6), clip=5.0)).tolist() == [5.0, 5.0]


def test_nothing_seen_leaves_values_alone():
    np.testing.assert_allclose(standardise(init_statistics((2,)), jnp.array([0.5, -2.0])), [0.5, -2.0], rtol=1e-6)


def test_rewards_are_divided_by_the_deviation_of_discounted_returns():
    generator = np.random.default_rng(1)
    rewards = generator.normal(1.0, 3.0, (50, 4)).astype(np.float32)
    ended = generator.random((50, 4)) < 0.2

    def body(scale, x):
        return scale_rewards(scale, *x, discount=0.9, clip=1e3)

    _, scaled = jax.jit(lambda *x: jax.lax.scan(body, init_reward_scale(4), x))(rewards, ended)
    returns, seen = np.zeros(4), []
    for t in range(50):
        returns = 0.9 * returns + rewards[t]
        seen.append(returns)
        np.testing.assert_allclose(scaled[t], rewards[t] / np.sqrt(np.var(seen) + 1e-8), rtol=1e-4)
        returns = np.where(ended[t], 0.0, returns)
