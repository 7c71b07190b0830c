"""Training a rule part by part: what is trained, what stays, and what is saved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.artifacts import Artifact, PartlyTrained, load, save
from heurax.errors import HeuraxError
from heurax.inner import SupervisedTraining
from heurax.outer import Descent, OuterOptimizer, PersistentES
from heurax.rules import Celo, LearnableSGD, MuP
from heurax.tasks import Quadratic

SIZE = {"lstm_hidden_size": 4}


def shift(theta):
    return jax.tree.map(lambda x: x + 1, theta)


def assert_equal(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_two_phases_of_celo(tmp_path):
    first = PartlyTrained(Celo(phase=1, **SIZE), trained=("bank",))
    bank = shift(first.init(jax.random.key(1)))  # stands for meta-training
    assert bank.keys() == {"bank"}
    save(tmp_path / "first", Artifact(first, bank))
    saved = load(tmp_path / "first")
    assert saved.rule == Celo(phase=1, **SIZE)
    assert_equal(saved.theta["bank"], bank["bank"])

    second = PartlyTrained(Celo(phase=2, **SIZE), trained=("scheduler",), artifact=str(tmp_path / "first"))
    scheduler = second.init(jax.random.key(2))
    assert scheduler.keys() == {"scheduler"}
    save(tmp_path / "second", Artifact(second, scheduler))
    whole = load(tmp_path / "second")
    assert whole.rule == Celo(phase=2, **SIZE)
    assert_equal(whole.theta, bank | scheduler)

    params = {"w": jnp.ones((2, 3))}
    updates = [
        optimizer.update(params, optimizer.init(params), params, value=jnp.float32(1.0))[0]
        for optimizer in (second.optimizer(scheduler, 10), whole.optimizer(10))
    ]
    assert_equal(*updates)


def test_the_outer_loop_trains_the_part_alone():
    rule = PartlyTrained(Celo(phase=2, **SIZE), trained=("scheduler",))
    inner = SupervisedTraining(rule, Quadratic(dimension=2), num_steps=4)
    outer = Descent(PersistentES(num_tasks=1, window=2), OuterOptimizer(warmup_steps=0), num_steps=2)
    state = outer.init(inner, jax.random.key(0))
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam mixes integers and floats
        trained, _ = jax.jit(lambda state: outer.step(inner, state))(state)
    assert state.theta.keys() == trained.theta.keys() == {"scheduler"}
    assert np.any(trained.theta["scheduler"]["lstm"]["w"] != state.theta["scheduler"]["lstm"]["w"])


def test_under_mup_the_whole_is_saved(tmp_path):
    rule = MuP(PartlyTrained(Celo(**SIZE), trained=("bank",)), classes={".": "hidden"})
    save(tmp_path / "artifact", Artifact(rule, rule.init(jax.random.key(0))))
    assert load(tmp_path / "artifact").theta.keys() == {"bank", "scheduler"}


def test_refusals(tmp_path):
    save(tmp_path / "celo", Artifact(Celo(), Celo().init(jax.random.key(0))))
    with pytest.raises(ValueError, match=r"trained must be some of bank, scheduler, got \['lstm'\]"):
        PartlyTrained(Celo(), trained=("lstm",))
    with pytest.raises(ValueError, match=r"trained must be some of bank, scheduler, got \[\]"):
        PartlyTrained(Celo(), trained=())
    with pytest.raises(HeuraxError, match=r"celo are not those of Celo\(lstm_hidden_size=4"):
        PartlyTrained(Celo(**SIZE), trained=("bank",), artifact=str(tmp_path / "celo"))
    with pytest.raises(ValueError, match="log_learning_rate, got"):
        PartlyTrained(LearnableSGD(), trained=("bank",))
