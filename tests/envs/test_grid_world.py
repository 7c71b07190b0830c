"""Grid worlds against a short model of them in NumPy, and the laws of what is drawn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import GRID_LEVELS, GridLevels, GridObject, GridWorld
from heurax.envs.grid_levels import kind
from heurax.envs.grid_world import _draw_cells

MOVES = [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)]
CERTAIN = GridLevels(
    (kind(1.0, 0.0, 1.0, 2), kind(-0.5, 0.0, 0.0), kind(2.0, 1.0, 0.0)),
    height=(4, 5),
    width=(3, 6),
    num_walls=6,
    num_objects=(2, 4),
    episode_length=(60, 60),
)
"""Every probability 0 or 1: the level decides everything."""


def model(level, shape, actions):
    """Walk through a level; observations as indices."""
    level = jax.tree.map(np.asarray, level)
    rows, columns = shape
    free = level.free.reshape(shape)
    position, present = divmod(int(level.start), columns), level.used.copy()
    trace = []
    for action in actions:
        to = (position[0] + MOVES[action][0], position[1] + MOVES[action][1])
        if 0 <= to[0] < rows and 0 <= to[1] < columns and free[to]:
            position = to
        cell = position[0] * columns + position[1]
        collected = [i for i in range(len(present)) if present[i] and level.cells[i] == cell]
        back = [i for i in range(len(present)) if not present[i] and level.used[i] and level.respawn[i] == 1]
        present[collected], present[back] = False, True
        number = cell + rows * columns * sum(2**i for i in range(len(present)) if present[i])
        ended = any(level.termination[i] == 1 for i in collected)
        trace.append((number, sum(level.reward[i] for i in collected), ended))
    return zip(*trace, strict=True)


@pytest.mark.parametrize("diagonal", [False, True])
def test_every_step_is_that_of_the_model(diagonal):
    env = GridWorld(CERTAIN, "index", diagonal)

    @jax.jit
    @jax.vmap
    def walk(key):
        key_level, key_actions = jax.random.split(key)
        level = env.sample(key_level)
        actions = jax.random.randint(key_actions, (60,), 0, env.action_space.num_actions)
        state, _ = env.reset(level, key)

        def body(state, x):
            return env.step(level, state, *x)

        return level, actions, jax.lax.scan(body, state, (actions, jax.random.split(key, 60)))[1]

    levels, actions, steps = walk(jax.random.split(jax.random.key(0), 20))
    for i in range(20):
        level = jax.tree.map(lambda x: x[i], levels)  # noqa: B023
        numbers, rewards, ended = model(level, CERTAIN.shape, np.asarray(actions[i]))
        assert steps.observation[i].tolist() == list(numbers)
        np.testing.assert_allclose(steps.reward[i], rewards)
        assert steps.terminated[i].tolist() == list(ended)
        assert steps.truncated[i].tolist() == [False] * 59 + [True]
    assert steps.terminated.any()
    assert (np.asarray(steps.reward) > 0).sum() > 50


def test_one_hot_and_image_show_what_the_index_counts():
    key = jax.random.key(3)
    index, one_hot, image = (GridWorld("long_dense", observation) for observation in ("index", "one_hot", "image"))
    level = index.sample(key)
    number = index.reset(level, key)[1]
    assert index.num_states == 121 * 16
    assert number == int(level.start) + 121 * 15
    vector = one_hot.reset(level, key)[1]
    assert vector.shape == (121 * 16,)
    assert vector.sum() == 1
    assert vector[int(number)] == 1
    picture = np.asarray(image.reset(level, key)[1])
    assert picture.shape == (11, 11, 3)
    assert np.flatnonzero(picture[..., 0]).tolist() == [int(level.start)]
    drawn = ["".join("#" if wall else "." for wall in row) for row in picture[..., 1]]
    assert tuple(drawn) == GRID_LEVELS["long_dense"].walls
    assert np.flatnonzero(picture[..., 2]).tolist() == sorted(int(cell) for cell in level.cells)


def test_levels_obey_their_distribution():
    sample = jax.jit(jax.vmap(GridWorld("all", "index").sample))
    levels = jax.tree.map(np.asarray, sample(jax.random.split(jax.random.key(0), 500)))
    free = levels.free.reshape(500, 10, 10)
    sides = free.any(axis=2).sum(1), free.any(axis=1).sum(1)
    assert max(map(np.max, sides)) == 10
    places = np.concatenate([levels.start[:, None], levels.cells], axis=1)
    assert np.take_along_axis(free.reshape(500, 100), places, axis=1).all()
    assert all(len(set(row)) == 6 for row in places.tolist())
    assert (free.sum((1, 2))[np.minimum(*sides) == 10] == 85).all()
    assert set(levels.used.sum(1).tolist()) == {1, 2, 3, 4, 5}
    assert (levels.reward[:, 0] >= 0).all()
    np.testing.assert_allclose(levels.reward[:, 1:].mean(), 0.0, atol=0.05)  # 4 standard errors
    for values, low, high in (
        (levels.termination, 0.01, 1.0),
        (levels.respawn, 0.001, 0.1),
        (levels.episode_length, 20, 750),
    ):
        assert np.min(values) >= low - 1e-6
        assert np.max(values) <= high + 1e-6
        middle = np.exp((np.log(low) + np.log(high)) / 2)
        np.testing.assert_allclose((values < middle).mean(), 0.5, atol=0.1)


def test_chances_are_those_of_the_level():
    certain = GridLevels((GridObject((1.0, 1.0), (0.3, 0.3), (0.2, 0.2)),), height=(1, 1), width=(2, 2))
    env = GridWorld(certain, "index")
    level = env.sample(jax.random.key(0))
    there = jnp.where(level.start == 0, 3, 2)  # right, or left

    @jax.jit
    @jax.vmap
    def run(key):
        key_collect, key_wait = jax.random.split(key)
        state, _ = env.reset(level, key)
        state, collect = env.step(level, state, there, key_collect)
        away = jnp.where(level.start == 0, 2, 3)
        state, wait = env.step(level, state, away, key_wait)
        return collect.reward, collect.terminated, state.present[0], wait.reward

    reward, terminated, back, later = run(jax.random.split(jax.random.key(1), 4000))
    assert (reward == 1).all()
    assert (later == 0).all()
    np.testing.assert_allclose(terminated.mean(), 0.3, atol=0.03)  # 4 standard errors
    np.testing.assert_allclose(back.mean(), 0.2, atol=0.03)


def test_objects_of_an_episode_are_anywhere_but_apart():
    env = GridWorld(GridLevels(CERTAIN.objects, (3, 3), num_walls=2, positions="episode"), "image")
    level = env.sample(jax.random.key(0))
    states, _ = jax.jit(jax.vmap(env.reset, (None, 0)))(level, jax.random.split(jax.random.key(1), 3000))
    cells = np.asarray(states.cells)
    assert all(len(set(row)) == 4 for row in cells.tolist())
    allowed = np.flatnonzero(np.asarray(level.free)).tolist()
    allowed.remove(int(level.start))
    counts = np.bincount(cells.ravel(), minlength=9)
    assert set(np.flatnonzero(counts).tolist()) == set(allowed)
    np.testing.assert_allclose(counts[allowed] / 3000, 4 / 6, atol=0.04)  # 4.6 standard errors

    def draw(key):
        occupied = jnp.asarray([*allowed[:2], int(level.start), allowed[2]], jnp.int32)
        return _draw_cells(level, occupied, jnp.asarray([True, True, True, False]), key, 2)

    drawn = np.asarray(jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(2), 3000)))
    assert (drawn[:, 0] != drawn[:, 1]).all()
    frequency = np.bincount(drawn.ravel(), minlength=9)[allowed] / 3000
    np.testing.assert_allclose(frequency, [0, 0, 0.5, 0.5, 0.5, 0.5], atol=0.04)


@pytest.mark.parametrize("name", GRID_LEVELS)
def test_every_named_distribution_has_its_shapes(name):
    env = GridWorld(name, "image")
    level = jax.eval_shape(env.sample, jax.random.key(0))
    _, observation = jax.eval_shape(env.reset, level, jax.random.key(0))
    assert observation.shape == env.observation_shape == (*GRID_LEVELS[name].shape, 2 + len(GRID_LEVELS[name].objects))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GridWorld("denser"), "levels must be GridLevels or the name of one, got 'denser'; near are dense"),
        (lambda: GridWorld("random_dense"), "observation must be 'image' where objects change places"),
        (
            lambda: GridWorld(GridLevels((kind(1.0, 0.0, 0.0, 20),)), "index"),
            "observation must be 'image' for so many states",
        ),
        (lambda: GridLevels(()), "objects must have at least one kind"),
        (
            lambda: GridLevels(CERTAIN.objects, (2, 3)),
            "a level must have room for 4 objects and the agent, got 4 cells",
        ),
        (lambda: GridLevels(CERTAIN.objects, (3, 3), num_walls=5), "num_walls must leave room"),
        (lambda: GridLevels(CERTAIN.objects, (3, 2)), r"height must be \(low, high\) with 1 <= low <= high"),
        (lambda: GridLevels(CERTAIN.objects, num_objects=(1, 5)), "num_objects must be at most the 4 there are"),
        (lambda: GridLevels(CERTAIN.objects, (3, 3), walls=("...",)), "walls must have 3 rows of 3 cells"),
        (lambda: GridObject((1.0, 0.0), (0.1, 0.1), (0.1, 0.1)), "reward must have low <= high"),
        (lambda: GridObject((0.0, 1.0), (0.0, 0.1), (0.1, 0.1)), "termination must be one probability twice"),
        (lambda: GridObject((0.0, 1.0), (0.1, 0.1), (0.1, 0.1), 0), "count must be >= 1, got 0"),
    ],
)
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
