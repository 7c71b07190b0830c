"""Snake, random MDPs and delayed chains against short models of them."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import DelayedChain, RandomMDP, Snake

MOVES = [(-1, 0), (0, 1), (1, 0), (0, -1)]


def walk(env, keys, actions):
    """Take given actions [B, T], beyond the ends of episodes too: levels, first states and observations, steps."""

    @jax.jit
    @jax.vmap
    def run(key, actions):
        key_level, key_reset, key_steps = jax.random.split(key, 3)
        level = env.sample(key_level)
        state, observation = env.reset(level, key_reset)

        def body(state, x):
            return env.step(level, state, *x)

        keys = jax.random.split(key_steps, len(actions))
        return level, state, observation, jax.lax.scan(body, state, (actions, keys))[1]

    return jax.tree.map(np.asarray, run(keys, jnp.asarray(actions, jnp.int32)))


def test_snake_is_a_queue():
    rows, columns, num_steps = 3, 4, 150
    env = Snake(rows, columns, episode_length=500)
    keys = jax.random.split(jax.random.key(0), 9)
    starts = np.asarray(jax.vmap(lambda key: env.reset((), jax.random.split(key, 3)[1])[0].head)(keys))
    cycle = [[1, 1, 1, 2], [0, 2, 3, 2], [0, 3, 0, 3]]  # through every cell; left for chance after a while
    actions = np.random.default_rng(0).integers(0, 4, (9, num_steps))
    for i, (row, column) in enumerate(starts.tolist()):
        for t in range(20 * i if i < 7 else num_steps):
            actions[i, t] = cycle[row][column]
            row, column = np.add((row, column), MOVES[actions[i, t]]).tolist()
    _, start, first, steps = walk(env, keys, actions)
    ends = set()
    for i in range(9):
        body = deque([tuple(start.head[i].tolist())])
        fruit = tuple(start.fruit[i].tolist())
        assert fruit != body[0]
        assert np.argwhere(first[i, ..., 1]).tolist() == [list(body[0])]
        for t, action in enumerate(actions[i]):
            head = tuple(np.add(body[-1], MOVES[action]).tolist())
            eaten = head == fruit
            if not eaten:
                body.popleft()
            dead = not (0 <= head[0] < rows and 0 <= head[1] < columns) or head in body
            body.append(head)
            full = not dead and len(body) == rows * columns
            assert steps.reward[i, t] == eaten
            assert steps.terminated[i, t] == (dead or full)
            if dead or full:
                ends.add("dead" if dead else "full")
                break
            seen = steps.observation[i, t]
            assert {tuple(x) for x in np.argwhere(seen[..., 0]).tolist()} == set(body)
            assert np.argwhere(seen[..., 1]).tolist() == [list(head)]
            lasts = [seen[(*cell, 3)] for cell in body]
            np.testing.assert_allclose(lasts, np.arange(1, len(body) + 1) / len(body), rtol=1e-6)
            fruit = tuple(np.argwhere(seen[..., 2])[0].tolist())
            assert seen[..., 2].sum() == 1
            assert fruit not in body
    assert ends == {"dead", "full"}


def test_snake_finds_fruit_everywhere_and_time_truncates():
    env = Snake(3, 3, episode_length=2)
    states, _ = jax.jit(jax.vmap(env.reset, (None, 0)))((), jax.random.split(jax.random.key(0), 4500))
    head, fruit = np.asarray(states.head) @ [3, 1], np.asarray(states.fruit) @ [3, 1]
    assert (head != fruit).all()
    for cells in (head, fruit):
        np.testing.assert_allclose(np.bincount(cells, minlength=9) / 4500, 1 / 9, atol=0.02)  # 4 standard errors
    _, _, _, steps = walk(Snake(30, 30, episode_length=2), jax.random.key(1)[None], [[1, 1]])
    assert steps.truncated.tolist() == [[False, True]]
    assert not steps.terminated.any()


def test_random_mdps_follow_their_tables():
    env = RandomMDP(num_states=4, num_actions=2, branching=3, termination=0.25, reward_noise=0.5, episode_length=9)
    level = env.sample(jax.random.key(0))
    probability = np.diff(np.asarray(level.cumulative), axis=-1, prepend=0)
    assert (probability >= 0).all()
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-6)
    assert all(len(set(row)) == 3 for row in np.asarray(level.successors).reshape(-1, 3).tolist())
    state, _ = env.reset(level, jax.random.key(1))
    action = jnp.ones((), jnp.int32)
    new, steps = jax.jit(jax.vmap(env.step, (None, None, None, 0)))(
        level, state, action, jax.random.split(jax.random.key(2), 8000)
    )
    expected = np.zeros(4)
    expected[np.asarray(level.successors[state.number, 1])] = probability[state.number, 1]
    np.testing.assert_allclose(np.bincount(new.number, minlength=4) / 8000, expected, atol=0.025)  # 4 standard errors
    np.testing.assert_array_equal(np.argmax(steps.observation, axis=-1), new.number)
    np.testing.assert_allclose(steps.terminated.mean(), 0.25, atol=0.02)
    np.testing.assert_allclose(steps.reward.mean(), level.reward[state.number, 1], atol=0.03)
    np.testing.assert_allclose(steps.reward.std(), 0.5, atol=0.02)


@pytest.mark.parametrize("noisy", [False, True])
def test_the_first_action_is_paid_at_the_end(noisy):
    env = DelayedChain(min_length=3, max_length=6, noisy=noisy, distractors=4)
    lengths, _, first, steps = walk(env, jax.random.split(jax.random.key(0), 12), [[1, 0, 1, 0, 1, 0]] * 12)
    assert set(lengths.tolist()) == {3, 4, 5, 6}
    for i, length in enumerate(lengths):
        choice = 1.0 if first[i, 0] == 1 else -1.0
        assert first[i, 1] == 0
        assert steps.terminated[i, :length].tolist() == [False] * (length - 1) + [True]
        assert steps.reward[i, length - 1] == choice
        way = steps.reward[i, : length - 1]
        assert way[0] == 0
        assert set(np.abs(way[1:]).tolist()) == ({1.0} if noisy else {0.0})
        seen = steps.observation[i, :length]
        assert (seen[:, 0] == first[i, 0]).all()
        assert (seen[:, 1] == choice).all()
        np.testing.assert_array_equal(np.argmax(seen[:, 2:9], axis=1), np.arange(1, length + 1))
        assert set(np.unique(seen[:, 9:])) <= {0.0, 1.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomMDP(num_states=1), "num_states must be >= 2, got 1"),
        (lambda: RandomMDP(num_actions=0), "num_actions must be >= 1, got 0"),
        (lambda: RandomMDP(branching=21), r"branching must be in \[1, 20\], got 21"),
        (lambda: RandomMDP(termination=1.5), r"termination must be in \[0, 1\], got 1.5"),
        (lambda: RandomMDP(reward_noise=-1.0), "reward_noise must be >= 0, got -1"),
        (lambda: RandomMDP(episode_length=0), "episode_length must be >= 1, got 0"),
        (lambda: DelayedChain(7, 6), r"min_length must be in \[1, max_length\], got 7"),
        (lambda: DelayedChain(distractors=-1), "distractors must be >= 0, got -1"),
        (lambda: Snake(1, 1), "rows and columns must make at least two cells, got 1 x 1"),
        (lambda: Snake(episode_length=0), "episode_length must be >= 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
