"""Whole agent lifetimes inside the outer loop: saved in their middle, on one device and on four."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.envs import Catch
from heurax.inner import PPO, MLPNetwork
from heurax.outer import Descent, Evolution, OuterOptimizer, PersistentES
from heurax.rules import LPO, OptaxOptimizer
from heurax.runs import OuterProgram, tasks_mesh
from heurax.runs.checkpoints import Checkpoints

INNER = PPO(
    rule=LPO(hidden_size=4),
    env=Catch(rows=4, columns=3),
    num_steps=8,
    num_envs=4,
    num_rollout_steps=8,
    num_epochs=2,
    num_minibatches=2,
    network=MLPNetwork(()),
    optimizer=OptaxOptimizer("adam", 0.1),
    num_eval_episodes=4,
    max_eval_steps=4,
)
OPTIMIZER = OuterOptimizer("adam", 0.05, warmup_steps=0)
OUTER_LOOPS = {
    "Evolution": Evolution(
        population_size=4, num_rollouts=2, sigma=0.5, optimizer=OPTIMIZER, objective="final", num_steps=4
    ),
    "PersistentES": Descent(PersistentES(num_tasks=4, window=2, sigma=0.5), OPTIMIZER, num_steps=4),
}


@pytest.fixture(autouse=True)
def evosax_is_not_strict():
    """evosax mixes dtypes and ranks; PPO itself is tested under strict rules elsewhere."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def as_data(tree):
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


@pytest.mark.parametrize("outer", OUTER_LOOPS.values(), ids=OUTER_LOOPS)
def test_lifetimes_resume_in_their_middle_and_devices_agree(outer, tmp_path):
    ends = {}
    for num_devices in (1, 4):
        program = OuterProgram(INNER, outer, tasks_mesh(4, num_devices), num_steps=1)
        run = program.compile()
        state, _ = run(program.init(seed=0))
        path = tmp_path / str(num_devices)
        checkpoints = Checkpoints(path, keep=1)
        checkpoints.save(1, state)
        for _ in range(2):
            state, metrics = run(state)
        restored = checkpoints.restore(1, program.abstract_state())
        checkpoints.close()
        for _ in range(2):
            restored, again = run(restored)
        chex.assert_trees_all_equal(as_data(restored), as_data(state))
        chex.assert_trees_all_equal(again, metrics)
        assert all(np.isfinite(values).all() for values in metrics.values())
        ends[num_devices] = jax.device_get((state.theta, metrics))
    assert np.any(ends[1][0]["out"] != 0)
    # Adam divides by the size of a gradient, and so passes on the last digits of a sum over devices
    chex.assert_trees_all_close(ends[1], ends[4], rtol=1e-3, atol=1e-5)
