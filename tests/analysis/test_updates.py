"""Optimizers in cross-section, and the sizes of their steps, against what is known of SGD, momentum and Adam."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from heurax.analysis import step_size_figure, step_size_table, update_figure, update_table
from heurax.inner import SupervisedTraining
from heurax.rules import RULES, LearnedOptimizer, MuP, OptaxOptimizer
from heurax.tasks import Quadratic

LEARNED = [name for name, rule in RULES.items() if issubclass(rule, LearnedOptimizer)]


def test_the_update_of_momentum_is_linear_in_gradient_and_history():
    table = update_table(lambda _: optax.sgd(0.5, momentum=0.5), [-1.0, 0.0, 2.0], [0.0, 4.0], num_contexts=64)
    assert table["momentum"].tolist() == [0.0] * 3 + [4.0] * 3
    rows = table.set_index(["momentum", "gradient"])["update"]
    np.testing.assert_allclose(rows[0.0, 2.0] - rows[0.0, -1.0], -0.5 * 0.01 * 3, rtol=1e-4)
    # the history adds 0.5 + 0.25 + ... = 1 of its mean, up to 2^-20 that twenty steps leave out
    np.testing.assert_allclose(rows[4.0, 0.0] - rows[0.0, 0.0], -0.5 * 0.01 * 4, rtol=1e-4)


def test_adam_in_cross_section_is_adam():
    """With one context of one parameter, and the same draws, Adam in NumPy."""
    rate, b1, b2, scale, history = 0.1, 0.9, 0.999, 0.01, 5
    with jax.numpy_dtype_promotion("standard"):  # for optax's own bias correction
        table = update_table(
            lambda _: optax.adam(rate), [1.5], [2.0], scale=scale, num_history=history, size=1, num_contexts=1, seed=3
        )
    _, key_history, _, _ = jax.random.split(jax.random.split(jax.random.key(3), 1)[0], 4)
    noise = np.asarray(jax.random.normal(key_history, (history, 1, 1), jnp.float32)).ravel()
    m = v = 0.0
    for gradient in [*(scale * (noise + 2.0)), scale * 1.5]:
        m, v = b1 * m + (1 - b1) * gradient, b2 * v + (1 - b2) * gradient**2
    n = history + 1
    expected = -rate * (m / (1 - b1**n)) / (np.sqrt(v / (1 - b2**n)) + 1e-8)
    np.testing.assert_allclose(table["update"].item(), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_compilation")
@pytest.mark.parametrize("name", LEARNED)
def test_any_learned_optimizer_can_be_probed(name):
    """Whatever it needs, it is given: the loss, the parameters, a key."""
    rule = MuP(classes={"w": "hidden"}) if name == "MuP" else RULES[name]()
    theta = rule.init(jax.random.key(0))
    table = update_table(lambda n: rule.optimizer(theta, n), [1.0], [0.0], num_history=1, size=2, num_contexts=1)
    assert np.isfinite(table["update"]).all()


def test_tables_become_panels():
    table = update_table(lambda _: optax.sgd(1.0), [-1.0, 1.0], [-1.0, 0.0], num_contexts=1)
    figure = update_figure({"sgd": table, "again": table})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["sgd", "again"]
    assert [line.get_label() for line in figure.axes[0].lines[2:]] == ["-1", "0"]


@pytest.mark.parametrize("field", ["num_history", "num_steps", "size", "num_contexts"])
def test_counts_below_one_are_refused(field):
    with pytest.raises(ValueError, match=f"{field} must be >= 1, got 0"):
        update_table(lambda _: optax.sgd(1.0), **{field: 0})


def test_a_scale_of_nought_is_refused():
    with pytest.raises(ValueError, match=r"scale must be > 0, got 0\.0"):
        update_table(lambda _: optax.sgd(1.0), scale=0.0)


def test_steps_of_sgd_are_its_gradients():
    inner = SupervisedTraining(OptaxOptimizer("sgd", 0.25), Quadratic(dimension=4), num_steps=6)
    table = step_size_table(inner, inner.rule.init(jax.random.key(0)), num_seeds=2)
    assert table["seed"].tolist() == [0] * 6 + [1] * 6
    assert table["step"].tolist() == [1, 2, 3, 4, 5, 6] * 2
    np.testing.assert_allclose(table["update_rms"], 0.25 * table["gradient_rms"], rtol=1e-5)
    np.testing.assert_allclose(table["alignment"], 1.0, rtol=1e-5)
    assert (table["relative_step"] > 0).all()
    assert (table["loss"] > 0).all()
    line = step_size_figure({"sgd": table}).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), table.groupby("step")["update_rms"].mean(), rtol=1e-6)
    with pytest.raises(ValueError, match="num_seeds must be >= 1, got 0"):
        step_size_table(inner, inner.rule.init(jax.random.key(0)), num_seeds=0)
