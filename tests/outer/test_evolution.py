"""Evolution with the strategies of evosax, on a loss that has no gradient."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InnerLoop, StepResult
from heurax.outer import Evolution, OuterOptimizer, strategies
from heurax.rules import Rule
from heurax.runs.devices import OuterProgram, tasks_mesh

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


@dataclasses.dataclass(frozen=True)
class Leaves(Rule):
    """Two leaves of different shapes."""

    def init(self, key):
        return {"a": jnp.zeros((3,)), "b": jnp.zeros((2, 2))}


@dataclasses.dataclass(frozen=True)
class Stairs(InnerLoop):
    """The squared distance of theta from 1/2, in steps of 1/20, with a little noise."""

    rule: Leaves = Leaves()
    num_steps: int = 2

    def init(self, theta, key):
        return 0.01 * jax.random.normal(key)

    def step(self, theta, state, key):
        numbers = jnp.concatenate([theta["a"], theta["b"].ravel()])
        return state, StepResult(jnp.mean(jnp.round(20 * (numbers - 0.5)) ** 2) / 400 + state, {})

    def meta_loss(self, theta, state, key):
        return self.step(theta, state, key)[1].loss


@pytest.fixture(autouse=True)
def evosax_is_not_strict():
    """evosax mixes dtypes and ranks; our own code is tested under strict rules elsewhere."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def program(name, num_devices):
    adam = OuterOptimizer("adam", 0.02, warmup_steps=0, schedule="constant", clip_norm=float("inf"))
    outer = Evolution(name, population_size=16, sigma=0.1, optimizer=adam, num_steps=200)
    built = OuterProgram(Stairs(), outer, tasks_mesh(16, num_devices), num_steps=40)
    return built, built.compile()


def to_host(state):
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    return jax.tree.map(lambda x: np.asarray(jax.random.key_data(x) if is_key(x) else x), state)


@pytest.mark.parametrize("name", NAMES)
def test_strategies_improve_resume_and_are_sharded(name):
    """One compilation for all steps; the state restored from host memory goes on bit for bit."""
    built, advance = program(name, 4)
    assert built.mesh.size == 4
    middle, first = advance(built.init(0))
    saved = to_host(middle)
    end, second = advance(middle)

    def restore(x, like):
        is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key)
        return jax.device_put(jax.random.wrap_key_data(jnp.asarray(x)) if is_key else x, like.sharding)

    resumed, again = advance(jax.tree.map(restore, saved, built.abstract_state()))
    jax.tree.map(np.testing.assert_array_equal, to_host(end), to_host(resumed))
    jax.tree.map(np.testing.assert_array_equal, second, again)
    assert second["meta_loss"][-1] < 0.3 * first["meta_loss"][0]

    alone, advance_alone = program(name, 1)
    _, metrics = advance_alone(alone.init(0))
    np.testing.assert_allclose(metrics["meta_loss"][:5], first["meta_loss"][:5], rtol=1e-3)


def test_every_strategy_that_is_listed_can_be_made():
    assert len(strategies()) >= 25
    for name in strategies():
        evolution = Evolution(name, population_size=16)
        jax.eval_shape(lambda key, e=evolution: e.init(Stairs(), key), jax.random.key(0))


def test_unknown_strategies_are_refused():
    with pytest.raises(ValueError, match=r"strategy must be one of .*Open_ES.*, got 'OpenES'"):
        Evolution("OpenES")


def test_evosax_is_imported_late():
    """Its import starts JAX's backend, after which devices can no longer be configured."""
    code = "import sys, heurax.outer; sys.exit('evosax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
