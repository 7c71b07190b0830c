"""What every estimator promises, whatever the inner loop; through `Descent`, as a run uses it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InfluenceBalancing, InnerLoop, StepResult
from heurax.outer import (
    ESTIMATORS,
    Average,
    Bootstrapped,
    CurriculumLength,
    Descent,
    ESSingle,
    ForwardGradient,
    FullES,
    FullGradient,
    GuidedES,
    LogUniformLength,
    MixedSteps,
    NeverEnding,
    NoiseReuseES,
    OuterOptimizer,
    PersistentES,
    Replay,
    SigmaSchedule,
    TruncatedES,
    TruncatedGradient,
)
from heurax.outer.estimators import EvolutionaryEstimator
from heurax.rules import Scalar
from heurax.runs.devices import OuterProgram, tasks_mesh
from problems import small_training

SCHEDULED = SigmaSchedule("cosine", num_steps=4)
EXAMPLES = {
    "Average": Average((PersistentES(4, window=2), TruncatedGradient(4, window=4)), (0.25, 0.75)),
    "Bootstrapped": Bootstrapped(4, window=2, target_steps=2, truncation=CurriculumLength(2, num_windows=3)),
    "ESSingle": ESSingle(4, window=2, rank=1),
    "ForwardGradient": ForwardGradient(4, window=2, num_directions=2),
    "FullES": FullES(4, shaping="z_score", sigma_schedule=SCHEDULED),
    "FullGradient": FullGradient(4, remat=2),
    "GuidedES": GuidedES(4, window=4, num_guides=2, sigma_schedule=SCHEDULED),
    "MixedSteps": MixedSteps(4, window=2),
    "NoiseReuseES": NoiseReuseES(4, window=2, reuse=4, truncation=LogUniformLength(2), sigma_schedule=SCHEDULED),
    "PersistentES": PersistentES(4, window=2, shaping="centred_rank", truncation=NeverEnding()),
    "Replay": Replay(4, "final", arity=2),
    "TruncatedES": TruncatedES(4, window=2, shaping="per_pair_winner", truncation=CurriculumLength(2, num_windows=3)),
    "TruncatedGradient": TruncatedGradient(4, window=4, remat=2, truncation=LogUniformLength(4)),
}
INNERS = {"influence": InfluenceBalancing(num_steps=8), "training": small_training(8)}


@dataclasses.dataclass(frozen=True)
class Stairs(InnerLoop):
    """A hand-made inner loop without a gradient: counts of how often a threshold is missed, with a key in the state."""

    rule: Scalar = Scalar(0.5)
    num_steps: int = 8

    def init(self, theta, key):
        return {"key": key, "misses": jnp.zeros([], jnp.int32)}

    def step(self, theta, state, key):
        missed = jax.random.normal(state["key"]) > theta
        state = {"key": jax.random.fold_in(state["key"], 1), "misses": state["misses"] + missed.astype(jnp.int32)}
        return state, StepResult(missed.astype(jnp.float32), {"missed": missed.astype(jnp.float32)})

    def meta_loss(self, theta, state, key):
        return state["misses"].astype(jnp.float32)


def outer(estimator):
    return Descent(estimator, OuterOptimizer("sgd", 1e-2, warmup_steps=0, schedule="constant"), num_steps=10)


@functools.cache
def program(name, inner, num_devices, num_steps):
    built = OuterProgram(INNERS[inner], outer(EXAMPLES[name]), tasks_mesh(4, num_devices), num_steps)
    return built, built.compile()


def to_host(state):
    """As a checkpoint holds it: arrays of NumPy, keys as numbers."""
    return jax.tree.map(
        lambda x: np.asarray(jax.random.key_data(x)) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else np.asarray(x),
        state,
    )


def from_host(host, abstract):
    def put(x, like):
        is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key)
        return jax.device_put(jax.random.wrap_key_data(jnp.asarray(x)) if is_key else x, like.sharding)

    return jax.tree.map(put, host, abstract)


def test_every_estimator_has_an_example():
    assert set(EXAMPLES) == set(ESTIMATORS)
    assert all(type(example).__name__ == name for name, example in EXAMPLES.items())


@pytest.mark.parametrize("inner", INNERS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_contract(name, inner):
    """One compilation, a fixed point, resumes bit for bit, and 1 and 4 devices agree."""
    EXAMPLES[name].validate(INNERS[inner])
    built, advance = program(name, inner, 4, 2)
    assert built.mesh.size == 4
    start = built.init(0)
    described = jax.tree.map(lambda x: (x.shape, x.dtype), start)
    middle, first = advance(start)  # compiled ahead of time: another shape, dtype or weak type would be refused
    assert jax.tree.map(lambda x: (x.shape, x.dtype), middle) == described
    saved = to_host(middle)
    end, metrics = advance(middle)
    resumed, again = advance(from_host(saved, built.abstract_state()))
    jax.tree.map(np.testing.assert_array_equal, to_host(end), to_host(resumed))
    jax.tree.map(np.testing.assert_array_equal, metrics, again)
    assert all(np.isfinite(values).all() for values in [*first.values(), *metrics.values()])

    if inner == "training" and name not in ("PersistentES", "TruncatedGradient"):
        return  # one compilation less: devices differ in nothing that depends on the inner loop
    # One device: the same numbers up to the order of summation.
    alone, advance_alone = program(name, inner, 1, 2)
    state, metrics_alone = advance_alone(alone.init(0))
    np.testing.assert_allclose(metrics_alone["meta_loss"], first["meta_loss"], rtol=1e-4)
    np.testing.assert_allclose(metrics_alone["gradient_norm"][0], first["gradient_norm"][0], rtol=1e-3)
    leaves = zip(jax.tree.leaves(state.estimator_state), jax.tree.leaves(saved.estimator_state), strict=True)
    assert all(leaf.shape[0] == 4 for leaf, _ in leaves)


GRADIENT_FREE = [n for n, e in EXAMPLES.items() if isinstance(e, EvolutionaryEstimator) and n != "GuidedES"]


@pytest.mark.parametrize("name", GRADIENT_FREE)
def test_evolution_needs_no_gradient(name):
    """States may hold keys and integers, and losses may be steps."""
    inner = Stairs()
    estimator = dataclasses.replace(EXAMPLES[name], sigma=0.5)

    @jax.jit
    def two(key):
        state = estimator.init(inner, jnp.float32(0.5), key)
        _, state = estimator.estimate(inner, jnp.float32(0.5), state, key)
        return estimator.estimate(inner, jnp.float32(0.5), state, jax.random.fold_in(key, 1))[0]

    estimate = two(jax.random.key(0))
    assert np.isfinite(estimate.gradient)
    assert 0 <= estimate.metrics["missed"] <= 1
