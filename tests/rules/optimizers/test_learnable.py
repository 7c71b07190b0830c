"""Optimizers whose hyper-parameters are learned, against optax; `test_parity` has their published numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.rules import LearnableAdam, LearnableMomentum, LearnableSGD, OptaxOptimizer


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
        (
            lambda: OptaxOptimizer("sgd", options={"eps_root": 1e-16}),
            r"options must be arguments of optax.sgd, momentum, nesterov, .*; got 'eps_root'",
        ),
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
