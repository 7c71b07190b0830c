"""What a strategy is told: shaped losses, and rollouts whose losses have different scales."""

from dataclasses import dataclass

import jax
import numpy as np
import pytest
from scipy import stats

from heurax.inner import InnerLoop, StepResult
from heurax.outer import Evolution, OuterOptimizer
from heurax.rules import Scalar

SGD = OuterOptimizer("sgd", 1.0, warmup_steps=0, schedule="constant", clip_norm=float("inf"))


@dataclass(frozen=True)
class Scales(InnerLoop):
    """The squared distance of theta from 1, times a scale that each lifetime draws from 1 to 10,000."""

    rule: Scalar = Scalar(0.5)
    num_steps: int = 1

    def init(self, theta, key):
        return 10 ** jax.random.uniform(key, maxval=4)

    def step(self, theta, state, key):
        return state, StepResult(self.meta_loss(theta, state, key), {})

    def meta_loss(self, theta, state, key):
        return state * (theta - 1) ** 2


@pytest.fixture(autouse=True)
def evosax_is_not_strict():
    """evosax mixes dtypes and ranks; our own code is tested under strict rules elsewhere."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("shaping", ["strategy", "none", "centred_rank", "z_score"])
def test_one_generation_of_open_es_in_numpy(shaping, standardise):
    """theta <- theta - sum(shaped loss * noise) / (members * sigma), by the definition of the strategy."""
    evolution = Evolution(
        population_size=8,
        num_rollouts=3,
        sigma=0.1,
        optimizer=SGD,
        num_steps=10,
        shaping=shaping,
        standardise_rollouts=standardise,
    )
    state = jax.jit(lambda key: evolution.init(Scales(), key))(jax.random.key(0))
    after, metrics = jax.jit(lambda state: evolution.step(Scales(), state))(state)

    key_ask, key_lives, _ = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
    strategy, params = evolution._strategy(state.theta)
    population, _ = strategy.ask(key_ask, state.strategy_state, params)
    members = np.asarray(population, np.float64)
    scales = [float(Scales().init(None, jax.random.split(k)[0])) for k in jax.random.split(key_lives, 3)]
    losses = np.array(scales) * ((members - 1) ** 2)[:, None]
    told = losses
    if standardise:
        told = (losses - losses.mean(0)) / losses.std(0)
    told = told.mean(1)
    if shaping in ("strategy", "centred_rank"):  # Open_ES ranks unless told otherwise
        told = (stats.rankdata(told) - 1) / 7 - 0.5
    if shaping == "z_score":
        told = (told - told.mean()) / told.std()
    wanted = 0.5 - np.sum(told * (members - 0.5) / 0.1) / (8 * 0.1)
    np.testing.assert_allclose(after.theta, wanted, rtol=1e-4)
    np.testing.assert_allclose(metrics["meta_loss"], losses.mean(), rtol=1e-5)
