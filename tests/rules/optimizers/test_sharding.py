"""Learned optimizers on parameters that are spread over devices: the same updates, and no tensor is gathered."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from golden import QUICK
from heurax.rules import (
    RNNMLP,
    AdafacMLP,
    Celo,
    Celo2,
    CeloAdam,
    MLPOptimizer,
    NNAdam,
    Open,
    Optim4RL,
    VeLO,
    state_shardings,
)

RULES = {
    "AdafacMLP": AdafacMLP(),
    "Celo2 base": Celo2(orthogonalise=False, route_vectors=False, route_paths=""),
    "Celo2": Celo2(),
    "MLPOptimizer": MLPOptimizer(),
    "VeLO": VeLO(lstm_hidden_size=8, param_inits=3),
}
GATHER = {"Celo2"}
"""Rules whose matrix products gather tensors: orthogonalisation."""

SHAPES = {"a": (48, 64), "b": (48, 64), "bias": (64,), "scale": ()}  # large enough for blocks of wide networks
ROWS, COLUMNS, REPLICATED = PartitionSpec("device", None), PartitionSpec(None, "device"), PartitionSpec()
LAYOUTS = {
    "rows": {"a": ROWS, "b": ROWS},
    "columns": {"a": COLUMNS, "b": COLUMNS},
    "replicated": {},
    "mixed": {"a": ROWS, "b": COLUMNS, "bias": PartitionSpec("device")},
}
COLLECTIVE = re.compile(r"= (.*?) (all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)[a-z-]*\(")


def make_params():
    keys = jax.random.split(jax.random.key(1), len(SHAPES))
    return {name: jax.random.normal(key, shape) for key, (name, shape) in zip(keys, SHAPES.items(), strict=True)}


def spread(params, layout, axis_type=AxisType.Auto):
    mesh = jax.make_mesh((4,), ("device",), axis_types=(axis_type,))
    shardings = {name: NamedSharding(mesh, LAYOUTS[layout].get(name, PartitionSpec())) for name in params}
    return jax.device_put(params, shardings)


def two_updates(update, state, params):
    """Updates for two gradients, one after the other."""
    updates = []
    for factor in (1.0, -0.5):
        delta, state = update(jax.tree.map(lambda x, f=factor: f * x + 0.1, params), state, params, jnp.float32(1.0))
        updates.append(delta)
    return updates, state


def collective_sizes(program):
    """The collectives of a compiled program, as (name, number of elements of its largest output)."""
    found = []
    for line in program.as_text().splitlines():
        if match := COLLECTIVE.search(line):
            shapes = re.findall(r"\[([\d,]*)\]", match.group(1))
            sizes = [math.prod(int(n) for n in shape.split(",") if n) for shape in shapes]
            found.append((match.group(2), max(sizes)))
    return found


@pytest.fixture(scope="module")
def unsharded():
    """Updates on one device, by rule; each is compiled once."""
    results = {}

    def get(name):
        if name not in results:
            optimizer = RULES[name].optimizer(RULES[name].init(jax.random.key(0)), 100)
            params = make_params()
            update = jax.jit(lambda g, s, p, value: optimizer.update(g, s, p, value=value), compiler_options=QUICK)
            results[name] = two_updates(update, optimizer.init(params), params)[0]
        return results[name]

    return get


@pytest.mark.parametrize(
    ("name", "layout"),
    [(name, layout) for name in RULES for layout in LAYOUTS if name not in GATHER or layout == "mixed"],
)
def test_spread_over_devices(name, layout, unsharded):
    optimizer = RULES[name].optimizer(RULES[name].init(jax.random.key(0)), 100)
    params = spread(make_params(), layout)
    shardings = state_shardings(optimizer, params)
    state = jax.jit(optimizer.init, out_shardings=shardings)(params)
    update = jax.jit(lambda g, s, p, value: optimizer.update(g, s, p, value=value))
    program = update.lower(params, state, params, jnp.float32(1.0)).compile(QUICK)
    for kind, size in collective_sizes(program):
        assert size < math.prod(SHAPES["a"]) or name in GATHER, kind  # statistics are exchanged, tensors never

    updates, state = two_updates(program, state, params)
    for ours, expected in zip(updates, unsharded(name), strict=True):
        for leaf, delta in ours.items():
            scale = float(jnp.max(jnp.abs(expected[leaf])))
            np.testing.assert_allclose(delta, expected[leaf], rtol=0, atol=1e-5 * scale, err_msg=leaf)
            assert delta.sharding.is_equivalent_to(params[leaf].sharding, delta.ndim)
    for leaf, sharding in zip(jax.tree.leaves(state), jax.tree.leaves(shardings), strict=True):
        assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)  # the state is a fixed point here too


EVERY_KIND = {name: rule for name, rule in RULES.items() if name not in GATHER} | {
    "Celo": Celo(lstm_hidden_size=8),
    "CeloAdam": CeloAdam(lstm_hidden_size=8),
    "NNAdam": NNAdam(lstm_hidden_size=8),
    "Open": Open(),
    "Optim4RL": Optim4RL(),
    "RNNMLP": RNNMLP(hidden_size=8, lstm_hidden_size=8),
}


@pytest.mark.parametrize("name", EVERY_KIND)
def test_explicit_sharding(name):
    """On a mesh as `jax.make_mesh` gives it, shardings are part of an array's type, and conflicts are errors."""
    optimizer = EVERY_KIND[name].optimizer(EVERY_KIND[name].init(jax.random.key(0)), 100)
    params = spread(make_params(), "mixed", AxisType.Explicit)
    state = jax.jit(optimizer.init, out_shardings=state_shardings(optimizer, params))(params)
    updates, next_state = jax.eval_shape(lambda s: optimizer.update(params, s, params, value=jnp.float32(1.0)), state)
    for ours, given in ((updates, params), (next_state, state)):
        jax.tree.map(lambda x, y: np.testing.assert_equal(x.sharding.spec, jax.typeof(y).sharding.spec), ours, given)


def test_state_shardings_follow_paths_and_shapes():
    params = spread(make_params(), "mixed")
    rule = AdafacMLP()
    learned = rule.optimizer(rule.init(jax.random.key(0)), 100)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.1), learned)
    clip, (adam, *_), learned = state_shardings(optimizer, params)
    assert jax.tree.leaves(clip) == []
    assert adam.mu["a"].spec == ROWS
    assert learned.accumulators["a"].momentum.spec == PartitionSpec(None, "device", None)
    assert learned.accumulators["a"].factored.row.spec == PartitionSpec(None, "device", None)
    assert learned.accumulators["a"].factored.col.spec == PartitionSpec(None, None, None)
    assert learned.accumulators["bias"].momentum.spec == PartitionSpec(None, "device")
    assert learned.count.spec == PartitionSpec()


def test_state_shardings_need_named_shardings():
    with pytest.raises(ValueError, match="params must have a NamedSharding each, but that of 'w' is"):
        state_shardings(optax.sgd(0.1), {"w": jnp.ones(3)})
    with pytest.raises(ValueError, match="params must have at least one array, got an empty tree"):
        state_shardings(optax.sgd(0.1), {})
