"""Evolution with the strategies of evosax, on a loss that has no gradient."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.outer import Evolution, OuterOptimizer, strategies
from heurax.runs.devices import OuterProgram, tasks_mesh
from problems import Stairs


@pytest.fixture(autouse=True)
def evosax_is_not_strict():
    """evosax mixes dtypes and ranks; our own code is tested under strict rules elsewhere."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


NAMES = [
    "CMA_ES",
    "CR_FM_NES",
    "EvoTF_ES",
    "LES",
    "LM_MA_ES",
    "Open_ES",
    "PGPE",
    "SNES",
    "Sep_CMA_ES",
    "SimpleES",
    "xNES",
]


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("name", NAMES)
def test_strategies_improve(name):
    adam = OuterOptimizer("adam", 0.02, warmup_steps=0, schedule="constant", clip_norm=float("inf"))
    outer = Evolution(name, population_size=12, sigma=0.1, optimizer=adam, num_steps=80)
    program = OuterProgram(Stairs(), outer, tasks_mesh(12, 1), num_steps=80)
    _, metrics = program.compile()(program.init(0))
    assert np.isfinite(metrics["theta_norm"]).all()
    assert metrics["meta_loss"][-1] < 0.3 * metrics["meta_loss"][0]


def test_every_strategy_that_is_listed_can_be_made_and_steps():
    assert len(strategies()) >= 25
    for name in strategies():
        evolution = Evolution(name, population_size=16)
        state = jax.eval_shape(lambda key, e=evolution: e.init(Stairs(), key), jax.random.key(0))
        after, _ = jax.eval_shape(lambda state, e=evolution: e.step(Stairs(), state), state)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)


def test_unknown_strategies_are_refused():
    with pytest.raises(ValueError, match=r"strategy must be one of .*Open_ES.*, got 'OpenES'"):
        Evolution("OpenES")
    with pytest.raises(ValueError, match=r"population_size of LM_MA_ES must be at most twice .* 7; got 16"):
        Evolution("LM_MA_ES", population_size=16).validate(Stairs())


def test_a_generation_without_a_finite_loss_is_not_a_good_one():
    theta = {"a": jnp.full((3,), jnp.nan), "b": jnp.zeros((2, 2))}
    evolution = Evolution("SimpleES", population_size=4)
    state = evolution.init(Stairs(), jax.random.key(0))
    state = state.replace(theta=theta, strategy_state=state.strategy_state.replace(mean=jnp.full((7,), jnp.nan)))
    _, metrics = jax.jit(lambda state: evolution.step(Stairs(), state))(state)
    assert metrics["meta_loss"] == jnp.inf
    assert metrics["nonfinite"] == 1


def test_evosax_is_imported_late():
    """Its import starts JAX's backend, after which devices can no longer be configured."""
    code = "import sys, heurax.outer; sys.exit('evosax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
