"""Tests of the axis of tasks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.outer.tasks_axis import map_tasks


@pytest.mark.parametrize(
    ("num_tasks", "size", "has_loop"),
    [(8, 1, False), (40, 1, True), (34, 1, False), (6, 2, False), (6, 8, True), (12, 4, True)],
)
def test_map_tasks_equals_vmap(num_tasks: int, size: int, has_loop: bool) -> None:
    """In blocks where there are many tasks, and where they can be divided into blocks."""
    keys = jax.random.split(jax.random.key(0), num_tasks)
    weights = jnp.arange(float(num_tasks))

    def function(key: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        return {"drawn": weight * jax.random.normal(key, (3,)), "weight": weight}

    mapped = map_tasks(function, keys, weights, size=size)
    expected = jax.vmap(function)(keys, weights)
    for name in expected:
        np.testing.assert_allclose(mapped[name], expected[name], rtol=1e-6)
    jaxpr = str(jax.make_jaxpr(lambda: map_tasks(function, keys, weights, size=size))())
    assert ("scan" in jaxpr) == has_loop
