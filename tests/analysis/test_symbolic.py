"""Expressions for drifts: the closed forms come back from their samples; learned ones keep the conditions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.analysis import candidate_terms, drift_table, fit_drift
from heurax.rules import DPO, LPO, PPOKL, NoDrift, PPOClip, QuadraticDrift


@pytest.mark.parametrize(("alpha", "beta"), [(2.0, 0.6), (1.3, 0.45)])
def test_dpo_comes_back_from_samples_of_it(alpha, beta):
    """At the library's constants, and between them."""
    fit = fit_drift(DPO(alpha, beta).drift(()))
    assert fit.expression == (
        f"A >= 0: relu((r-1)A - {alpha:.3g} tanh((r-1)A/{alpha:.3g})); "
        f"A < 0: relu(A log r - {beta:.3g} tanh(A log r/{beta:.3g}))"
    )
    for branch, constant in ((fit.positive, alpha), (fit.negative, beta)):
        np.testing.assert_allclose(branch.coefficients, [1.0], rtol=1e-5)
        np.testing.assert_allclose(branch.terms[0].constant, constant, rtol=1e-5)
    assert fit.r2 > 1 - 1e-9
    assert fit.rmse < 1e-6


@pytest.mark.parametrize(
    ("rule", "positive", "negative"),
    [
        (NoDrift(), "0", "0"),
        (PPOClip(0.2), "relu((r - clip(r, 1 +- 0.2))A)", "relu((r - clip(r, 1 +- 0.2))A)"),
        (PPOKL(beta=2.0), "2 (r - 1 - log r)", "2 (r - 1 - log r)"),
        (QuadraticDrift(epsilon=0.2), "2.5 |A| (r-1)^2", "2.5 |A| (r-1)^2"),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, str) else "",
)
def test_published_drifts_come_back(rule, positive, negative):
    fit = fit_drift(rule.drift(()))
    assert (str(fit.positive), str(fit.negative)) == (positive, negative)
    assert fit.r2 > 1 - 1e-9


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_network_is_described_by_a_drift_with_the_errors_it_reports(seed):
    rule = LPO(hidden_size=16)
    theta = rule.init(jax.random.key(seed))
    theta["out"] = 0.3 * jax.random.normal(jax.random.key(seed + 10), theta["out"].shape)
    fit = fit_drift(rule.drift(theta), max_terms=4)
    assert fit.r2 > 0.95
    assert len(fit.positive.terms) <= 4
    network, expression = drift_table(rule.drift(theta)), drift_table(fit.drift)
    rmse = np.sqrt(np.mean((network.drift - expression.drift) ** 2))
    np.testing.assert_allclose(rmse, fit.rmse, rtol=1e-3)
    np.testing.assert_allclose(1 - rmse**2 / np.var(network.drift), fit.r2, rtol=1e-3)

    assert (expression.drift >= 0).all()
    one = drift_table(fit.drift, [1.0], tuple(np.linspace(-3, 3, 13)))
    assert (one.drift == 0).all()
    assert (one.gradient == 0).all()
    assert fit.summary()["expression"] == fit.expression


def test_every_candidate_vanishes_at_ratio_one():
    advantage = jnp.linspace(-2.0, 2.0, 9)
    for term in candidate_terms():

        def value(d, a, term=term):
            return term(jnp, d, a)

        for d in (0.0, 1e-4, -1e-4):
            log_ratio = jnp.full_like(advantage, d)
            values, slopes = jax.vmap(jax.value_and_grad(value))(log_ratio, advantage)
            np.testing.assert_allclose(values, 0.0, atol=abs(d) * 4 + 1e-7, err_msg=str(term))
            if term.stationary:
                np.testing.assert_allclose(slopes, 0.0, atol=2e-3, err_msg=str(term))
            if not term.signed:
                assert (values >= 0).all(), str(term)
        numbers = np.linspace(-0.7, 0.7, 9)
        np.testing.assert_allclose(
            term(np, numbers, np.asarray(advantage)), term(jnp, jnp.asarray(numbers, jnp.float32), advantage), atol=2e-6
        )


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"max_terms": 0}, "max_terms must be >= 1, got 0"),
        ({"tolerance": 1.0}, r"tolerance must be in \[0, 1\), got 1"),
        ({"max_ratio": 1.0}, "max_ratio must be > 1 and max_advantage > 0, got 1.0 and 2.0"),
    ],
)
def test_values_out_of_range_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        fit_drift(NoDrift().drift(()), **kwargs)
    with pytest.raises(ValueError, match="drift must be finite, got 3721 values that are not"):
        fit_drift(lambda d, a, n: jnp.full_like(d, jnp.nan))
