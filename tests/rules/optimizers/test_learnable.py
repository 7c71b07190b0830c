"""Optimizers whose hyper-parameters are learned: parity with the reference, and with optax itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import golden
from heurax.rules import LearnableAdam, LearnableMomentum, LearnableSGD, OptaxOptimizer

FILES = {"learnable_sgd": LearnableSGD(), "learnable_sgdm": LearnableMomentum(), "learnable_adam": LearnableAdam()}
NAMES = {
    "log_lr": "log_learning_rate",
    "one_minus_momentum": "log_one_minus_momentum",
    "one_minus_beta1": "log_one_minus_beta1",
    "one_minus_beta2": "log_one_minus_beta2",
    "log_epsilon": "log_epsilon",
}


def theta_of(trajectory, dtype=jnp.float32):
    return {NAMES[name]: leaf for name, leaf in trajectory.tree("theta/", dtype).items()}


@pytest.mark.parametrize("name", FILES)
def test_float32_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    golden.assert_parity(trajectory, FILES[name].optimizer(theta_of(trajectory), num_steps=40))


@pytest.mark.parametrize("name", FILES)
def test_float64_parity(shared, name):
    trajectory = golden.load_trajectory(shared, name)
    with jax.enable_x64(True):
        golden.assert_parity64(trajectory, FILES[name].optimizer(theta_of(trajectory, jnp.float64), num_steps=40))


def test_optax_optimizer_is_the_optax_optimizer():
    rule = OptaxOptimizer("sgd", learning_rate=0.1, options={"momentum": 0.9})
    ours = rule.optimizer(rule.init(jax.random.key(0)), num_steps=10)
    theirs = optax.sgd(0.1, momentum=0.9)
    params = {"w": jnp.arange(6.0).reshape(2, 3)}
    our_state, their_state = ours.init(params), theirs.init(params)
    for _ in range(3):
        our_updates, our_state = ours.update(params, our_state, params)
        their_updates, their_state = theirs.update(params, their_state, params)
        np.testing.assert_allclose(our_updates["w"], their_updates["w"], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptaxOptimizer("adamx"), "name must be an optimizer of optax"),
        (lambda: OptaxOptimizer(learning_rate=0.0), "learning_rate must be > 0, got 0.0"),
        (lambda: LearnableSGD(learning_rate=-1.0), "learning_rate must be > 0, got -1.0"),
        (lambda: LearnableMomentum(momentum=1.0), r"momentum must be in \[0, 1\), got 1.0"),
        (lambda: LearnableAdam(beta1=1.0), r"beta1 must be in \[0, 1\), got 1.0"),
        (lambda: LearnableAdam(epsilon=0.0), "epsilon must be > 0, got 0.0"),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(ValueError, match=message):
        make()
