import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.inner import InfluenceBalancing, InnerLoop, StepResult
from heurax.outer import FullGradient, Replay
from heurax.outer.replay import replay_backward, replay_cost
from heurax.rules import Scalar
from problems import small_training

CALLS: list[int] = []


@dataclass(frozen=True)
class Counted(InnerLoop):
    """`s <- tanh(s + theta)`, and a note on the host of every step that is run."""

    rule: Scalar = Scalar()
    num_steps: int = 64

    def init(self, theta, key):
        return jnp.zeros((7,), jnp.float32)

    def step(self, theta, state, key):
        jax.debug.callback(lambda: CALLS.append(1))
        state = jnp.tanh(state + theta)
        return state, StepResult(jnp.mean(state), {})

    def meta_loss(self, theta, state, key):
        return jnp.mean(state)


def gradient(inner, estimator, theta, key):
    return estimator.estimate(inner, theta, None, key)[0].gradient


@pytest.mark.parametrize("objective", ["mean", "final"])
@pytest.mark.parametrize("arity", [2, 4, 8])
def test_replay_equals_reverse_mode(arity, objective):
    inner = small_training(64)
    theta = inner.rule.init(jax.random.key(0))
    key = jax.random.key(1)
    exact = jax.jit(lambda: gradient(inner, FullGradient(2, objective), theta, key))()
    replayed = jax.jit(lambda: gradient(inner, Replay(2, objective, arity=arity), theta, key))()
    for leaf in exact:
        np.testing.assert_allclose(replayed[leaf], exact[leaf], rtol=1e-5)


@pytest.mark.parametrize(("num_steps", "arity"), [(1, 2), (5, 2), (20, 3), (100, 7), (13, 20)])
def test_the_horizon_need_not_be_a_power(num_steps, arity):
    inner = InfluenceBalancing(num_steps=num_steps)
    exact = gradient(inner, FullGradient(1), jnp.float32(0.5), jax.random.key(0))
    replayed = gradient(inner, Replay(1, arity=arity), jnp.float32(0.5), jax.random.key(0))
    np.testing.assert_allclose(replayed, exact, rtol=1e-5)


@pytest.mark.parametrize("arity", [2, 4, 8])
def test_replayed_steps_equal_the_formula(arity):
    """Steps that are run: forwards once, once in each differentiation, and the replayed ones."""
    inner, depth = Counted(), {2: 6, 4: 3, 8: 2}[arity]
    CALLS.clear()
    jax.block_until_ready(jax.jit(lambda t: gradient(inner, Replay(1, arity=arity), t, jax.random.key(0)))(0.1))
    jax.effects_barrier()
    replayed = 64 * depth * (arity - 1) // arity
    assert len(CALLS) == 2 * 64 + replayed
    assert replay_cost(64, arity) == (replayed, (arity - 1) * depth + 1)


@pytest.mark.parametrize("arity", [2, 4, 8])
def test_live_states_equal_the_formula(arity):
    """The program holds one stack of `arity - 1` states per level of the tree, and the first state."""

    def backward(state):
        return replay_backward(lambda s, t: jnp.sin(s), lambda c, s, t: c + s, state, jnp.zeros(7), 64, arity)

    def stacks(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name == "broadcast_in_dim":
                shape = equation.outvars[0].aval.shape
                yield from [shape[0]] if shape == (arity - 1, 7) else []
            for value in equation.params.values():
                if isinstance(value, jax.extend.core.ClosedJaxpr):
                    yield from stacks(value.jaxpr)

    assert sum(stacks(jax.make_jaxpr(backward)(jnp.zeros(7)).jaxpr)) + 1 == replay_cost(64, arity)[1]


def test_published_counts():
    assert replay_cost(1024, 4) == (3840, 16)
    assert replay_cost(4096, 8) == (14336, 29)


def test_memory_is_under_a_tenth_of_reverse_mode():
    inner = small_training(1024)
    inner = dataclasses.replace(inner, task=dataclasses.replace(inner.task, dimension=50))
    theta = inner.rule.init(jax.random.key(0))

    def temporaries(estimator):
        program = jax.jit(lambda theta, key: gradient(inner, estimator, theta, key))
        return program.lower(theta, jax.random.key(0)).compile().memory_analysis().temp_size_in_bytes

    plain, blocks, tree = (temporaries(e) for e in (FullGradient(1), FullGradient(1, remat=32), Replay(1, arity=4)))
    print(plain, blocks, tree)
    assert tree < 0.1 * plain
    assert blocks < 0.2 * plain


def test_fields_are_checked():
    with pytest.raises(ValueError, match="arity must be >= 2, got 1"):
        Replay(arity=1)
    with pytest.raises(ValueError, match="remat must divide the 20 inner steps"):
        FullGradient(remat=3).validate(small_training(20))
