"""The compiled outer step: one compilation, any number of devices, exact restoring."""

from unittest import mock

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.config import find_config, read_config
from heurax.errors import HeuraxError
from heurax.inner import SupervisedTraining
from heurax.outer import (
    Descent,
    Evolution,
    Family,
    FullES,
    Mixture,
    OuterOptimizer,
    PersistentES,
    TruncatedGradient,
)
from heurax.rules import LearnableAdam
from heurax.runs import OuterProgram, TrainConfig, tasks_mesh
from heurax.runs.checkpoints import Checkpoints
from heurax.runs.devices import compile_on, peak_memory, planned_memory
from heurax.tasks import Quadratic

INNER = SupervisedTraining(LearnableAdam(0.05), Quadratic(dimension=3, noise=0.1), num_steps=8)
OPTIMIZER = OuterOptimizer(warmup_steps=2)
OUTER_LOOPS = {
    "PersistentES": Descent(PersistentES(num_tasks=4, window=2), OPTIMIZER, num_steps=20),
    "FullES final": Descent(FullES(num_tasks=4, objective="final"), OPTIMIZER, num_steps=20),
    "TruncatedGradient": Descent(TruncatedGradient(num_tasks=4, window=4), OPTIMIZER, num_steps=20),
    "Evolution SNES": Evolution("SNES", 4, num_rollouts=2, optimizer=OPTIMIZER, num_steps=20),
    "Mixture": Mixture(
        (Family(), Family("short", SupervisedTraining(task=Quadratic(dimension=2), num_steps=4), weight=0.5)),
        estimator=PersistentES(num_tasks=4, window=2),
        optimizer=OPTIMIZER,
        num_steps=20,
    ),
}
every_outer_loop = pytest.mark.parametrize("outer", OUTER_LOOPS.values(), ids=OUTER_LOOPS)


@pytest.fixture(autouse=True)
def evosax_is_not_strict():
    """evosax mixes dtypes and ranks; everything else here is tested under strict rules elsewhere."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def make(outer, num_devices, inner=INNER, num_steps=5):
    return OuterProgram(inner, outer, tasks_mesh(outer.num_tasks, num_devices), num_steps)


def advance(program, times):
    run, state = program.compile(), program.init(seed=0)
    for _ in range(times):
        state, metrics = run(state)
    return state, metrics


@every_outer_loop
def test_step_is_a_fixed_point_and_devices_agree(outer):
    results = {}
    for num_devices in (1, 4):
        program = make(outer, num_devices)
        state, metrics = advance(program, 4)
        chex.assert_trees_all_equal_shapes_and_dtypes(state, program.abstract_state())
        assert not any(getattr(x, "weak_type", False) for x in jax.tree.leaves(state))
        assert metrics["meta_loss"].shape == (5,)
        assert all(np.isfinite(values).all() for values in metrics.values())
        assert int(state.step) == 20
        results[num_devices] = jax.device_get(state.theta)
    start = jax.device_get(make(outer, 1).init(seed=0).theta)
    assert all(np.any(a != b) for a, b in zip(jax.tree.leaves(start), jax.tree.leaves(results[1]), strict=True))
    chex.assert_trees_all_close(results[1], results[4], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_quickstart_is_the_same_on_1_2_and_4_devices():
    config, _ = read_config(TrainConfig, find_config("learned_optimizers/quickstart"))
    inner, outer = config.inner, config.outer
    thetas = {n: jax.device_get(advance(make(outer, n, inner), 4)[0].theta) for n in (1, 2, 4)}
    for n in (2, 4):
        flat, other = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(thetas[k])]) for k in (1, n))
        assert np.linalg.norm(flat - other) <= 1e-5 * np.linalg.norm(flat)


@pytest.fixture
def compilations():
    """Counts what XLA compiles while a test runs."""
    events = []

    def listen(name, duration, **kwargs):
        if name == "/jax/core/compile/backend_compile_duration":
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield events
    jax.monitoring.unregister_event_duration_listener(listen)


@every_outer_loop
def test_compiles_once_and_resumes_bit_for_bit(outer, compilations, tmp_path):
    program = make(outer, 2)
    run = program.compile()
    state, _ = run(program.init(seed=0))
    checkpoints = Checkpoints(tmp_path, keep=2)
    compilations.clear()
    checkpoints.save(5, state)
    assert len(compilations) <= 1, "a checkpoint compiled more than its copy"
    saved = jax.tree.map(jnp.copy, state)
    compilations.clear()
    for _ in range(3):
        state, _ = run(state)
    assert not compilations, "the outer step was compiled again"

    restored = checkpoints.restore(5, program.abstract_state())
    checkpoints.close()
    chex.assert_trees_all_equal(as_data(restored), as_data(saved))
    compilations.clear()
    for _ in range(3):
        restored, _ = run(restored)
    assert not compilations, "the outer step was compiled again after resuming"
    chex.assert_trees_all_equal(as_data(restored), as_data(state))


def as_data(tree):
    return jax.tree.map(lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x, tree)


def test_restoring_a_foreign_checkpoint_is_refused(tmp_path):
    program = make(OUTER_LOOPS["PersistentES"], 1)
    checkpoints = Checkpoints(tmp_path, keep=2)
    checkpoints.save(5, program.init(seed=0))
    checkpoints.close()
    checkpoints = Checkpoints(tmp_path, keep=2)
    other = make(Descent(PersistentES(num_tasks=2, window=2), OPTIMIZER, num_steps=20), 1)
    with pytest.raises(HeuraxError, match=r"does not belong to this run: .* has shape \[4"):
        checkpoints.restore(5, other.abstract_state())
    state = program.abstract_state()
    halved = state.replace(theta=jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.float16), state.theta))
    with pytest.raises(HeuraxError, match=r"theta/\S+ has dtype float32, wanted float16"):
        checkpoints.restore(5, halved)
    foreign = make(OUTER_LOOPS["FullES final"], 1)
    with pytest.raises(HeuraxError, match="it has estimator_state/clock, which the run has not"):
        checkpoints.restore(5, foreign.abstract_state())
    checkpoints.close()


def test_peak_memory_is_what_devices_count_or_else_what_is_planned():
    def counting(peak):
        device = mock.Mock()
        device.memory_stats.return_value = {"bytes_in_use": 1, "peak_bytes_in_use": peak}
        return device

    program = jax.jit(lambda x: jnp.sin(x) @ jnp.cos(x)).lower(jnp.ones((100, 100))).compile()
    assert 2 * 40_000 <= planned_memory(program) <= 4 * 40_000 + 1000  # in and out, and at most two temporaries
    assert peak_memory(1234, jax.devices()) == 1234
    assert peak_memory(1234, [counting(5), counting(7)]) == 7


def test_mesh_uses_the_largest_number_of_devices_that_divides_the_tasks():
    assert [tasks_mesh(n).size for n in (1, 2, 3, 4, 6, 8)] == [1, 2, 3, 4, 3, 4]


def test_an_option_in_the_environment_is_left_alone(monkeypatch):
    lowered = jax.jit(lambda x, y: x + y - y).lower(jnp.float32(1), jnp.float32(1e9))
    assert compile_on(tasks_mesh(1), lowered)(jnp.float32(1), jnp.float32(1e9)) == 1  # as if there were no rounding
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    assert compile_on(tasks_mesh(1), lowered)(jnp.float32(1), jnp.float32(1e9)) == 0


def test_programs_on_cpus_keep_nan_infinity_and_division():
    x = jnp.array([[1.0, jnp.nan, 2.0], [jnp.inf, 1.0, -jnp.inf], [0.1, 0.2, 3.0]])

    def functions(x):
        return jnp.isnan(x), jnp.sum(x, axis=1), jnp.max(x, axis=1), x / 3, (x + 1e8) - 1e8, jnp.log1p(x)

    lowered = jax.jit(functions).lower(x)
    ours, default = compile_on(tasks_mesh(1), lowered)(x), lowered.compile()(x)
    chex.assert_trees_all_close(ours, default, rtol=3e-7)


def test_programs_on_cpus_add_in_another_order_only():
    x = jax.random.normal(jax.random.key(0), (64, 1000))
    lowered = jax.jit(lambda x: jnp.sum(jnp.square(x), axis=1)).lower(x)
    np.testing.assert_allclose(compile_on(tasks_mesh(1), lowered)(x), np.sum(np.float64(x) ** 2, axis=1), rtol=1e-6)
