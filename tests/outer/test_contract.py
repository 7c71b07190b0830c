"""What every way to improve a rule promises, whatever the inner loop: one suite for all estimators and strategies."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InfluenceBalancing
from heurax.outer import (
    ESTIMATORS,
    Average,
    Bootstrapped,
    CurriculumLength,
    Descent,
    ESSingle,
    Evolution,
    Family,
    ForwardGradient,
    FullES,
    FullGradient,
    GuidedES,
    LogUniformLength,
    MixedSteps,
    Mixture,
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
from heurax.runs.devices import OuterProgram, tasks_mesh
from problems import Stairs, small_training

SCHEDULED = SigmaSchedule("cosine", num_steps=4)
ESTIMATOR_EXAMPLES = {
    "Average": Average((PersistentES(4, window=2), TruncatedGradient(4, window=4)), (0.25, 0.75)),
    "Bootstrapped": Bootstrapped(4, window=2, target_steps=2, truncation=CurriculumLength(2, num_windows=3)),
    "ESSingle": ESSingle(4, window=2, rank=1),
    "ForwardGradient": ForwardGradient(4, window=2, num_directions=2),
    "FullES": FullES(4, shaping="z_score", sigma_schedule=SCHEDULED),
    "FullGradient": FullGradient(4, remat=2, adam_per_task=True),
    "GuidedES": GuidedES(4, window=4, num_guides=2, sigma_schedule=SCHEDULED),
    "MixedSteps": MixedSteps(4, window=2),
    "NoiseReuseES": NoiseReuseES(4, window=2, reuse=4, truncation=LogUniformLength(2), sigma_schedule=SCHEDULED),
    "PersistentES": PersistentES(4, window=2, shaping="centred_rank", truncation=NeverEnding()),
    "Replay": Replay(4, "final", arity=2),
    "TruncatedES": TruncatedES(4, window=2, shaping="per_pair_winner", truncation=CurriculumLength(2, num_windows=3)),
    "TruncatedGradient": TruncatedGradient(4, window=4, remat=2, truncation=LogUniformLength(4)),
}
STRATEGIES = (
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
)
SGD = OuterOptimizer("sgd", 1e-2, warmup_steps=0, schedule="constant")
OUTER_LOOPS = {name: Descent(example, SGD, num_steps=10) for name, example in ESTIMATOR_EXAMPLES.items()} | {
    name: Evolution(name, population_size=4, sigma=0.1, optimizer=SGD, num_steps=10) for name in STRATEGIES
}
MIXED = (
    Family("relative", normalise="baseline"),
    Family("signs", small_training(4), estimator=FullES(4), normalise="sign"),
)
OUTER_LOOPS["Mixture"] = Mixture(MIXED, estimator=PersistentES(4, window=2), optimizer=SGD, num_steps=10)
INNERS = {"training": small_training(8), "influence": InfluenceBalancing(num_steps=8), "stairs": Stairs(num_steps=8)}


def needs_a_gradient(outer):
    estimator = outer.estimator if isinstance(outer, Descent) else None
    return estimator is not None and (
        isinstance(estimator, GuidedES) or not isinstance(estimator, EvolutionaryEstimator)
    )


PAIRS = [
    (name, inner)
    for name, outer in OUTER_LOOPS.items()
    for inner in ("training", "influence" if needs_a_gradient(outer) else "stairs")
    if inner == "training" or not isinstance(outer, Mixture)  # whose families train
]


def compiled(outer, inner, num_devices):
    built = OuterProgram(inner, outer, tasks_mesh(outer.num_tasks, num_devices), num_steps=2)
    assert built.mesh.size == num_devices
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
    assert set(ESTIMATOR_EXAMPLES) == set(ESTIMATORS)
    assert all(type(example).__name__ == name for name, example in ESTIMATOR_EXAMPLES.items())


@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize(("name", "inner"), PAIRS, ids=map("-".join, PAIRS))
def test_contract(name, inner):
    """One compilation, a fixed point, resumes bit for bit, and 1 and 4 devices agree."""
    outer, inner = OUTER_LOOPS[name], INNERS[inner]
    outer.validate(inner)
    with contextlib.ExitStack() as stack:
        if isinstance(outer, Evolution):  # evosax mixes dtypes and ranks
            stack.enter_context(jax.numpy_dtype_promotion("standard"))
            stack.enter_context(jax.numpy_rank_promotion("allow"))
        built, advance = compiled(outer, inner, 4)
        alone, advance_alone = compiled(outer, inner, 1)
        start, start_alone, abstract = built.init(0), alone.init(0), built.abstract_state()

    described = jax.tree.map(lambda x: (x.shape, x.dtype), start)
    assert not any(getattr(leaf, "weak_type", False) for leaf in jax.tree.leaves(start))  # keys have no such thing
    middle, first = advance(start)  # compiled ahead of time: another shape, dtype or weak type would be refused
    assert jax.tree.map(lambda x: (x.shape, x.dtype), middle) == described
    saved = to_host(middle)
    end, metrics = advance(middle)
    resumed, again = advance(from_host(saved, abstract))
    jax.tree.map(np.testing.assert_array_equal, to_host(end), to_host(resumed))
    jax.tree.map(np.testing.assert_array_equal, metrics, again)
    assert all(np.isfinite(values).all() for values in [*first.values(), *metrics.values()])

    # One device: the same numbers up to the order of summation.
    _, metrics_alone = advance_alone(start_alone)
    steps = 1 if name == "CMA_ES" else 2  # it samples along eigenvectors, and those of equal eigenvalues are arbitrary
    for metric in ("meta_loss", "theta_norm"):
        # Where all losses are equal, what shaping makes of their differences is 0 or the rounding of 0;
        # theta is a hundredth of the gradient.
        np.testing.assert_allclose(metrics_alone[metric][:steps], first[metric][:steps], rtol=1e-4, atol=1e-7)
    if isinstance(outer, Descent):
        np.testing.assert_allclose(metrics_alone["gradient_norm"][0], first["gradient_norm"][0], rtol=1e-3, atol=1e-5)
        assert all(leaf.shape[0] == 4 for leaf in jax.tree.leaves(start.estimator_state))
