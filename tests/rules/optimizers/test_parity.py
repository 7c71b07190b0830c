"""Every learned optimizer against all reference trajectories of its published implementation, at all steps."""

import jax
import jax.numpy as jnp
import optax
import pytest

import golden
from heurax.artifacts.importers.published import Published
from heurax.rules import (
    RNNMLP,
    AdafacMLP,
    Celo,
    Celo2,
    CeloAdam,
    LearnableAdam,
    LearnableMomentum,
    LearnableSGD,
    MLPOptimizer,
    MuP,
    NNAdam,
    Open,
    VeLO,
)
from heurax.rules.optimizers.open_optimizer import layer_proportions

EVERYWHERE = {"route_vectors": False, "route_paths": ""}
ROUTED = {"route_vectors": False, "route_paths": ".*bias.*|.*embed.*"}
CLASSES = {"embed": "input", "kernel": "hidden"}
BUGS = {
    "off": {},
    "bugloss": {"bugged_loss_features": True},
    "bugstate": {"bugged_lstm_state": True},
    "bugboth": {"bugged_loss_features": True, "bugged_lstm_state": True},
}
FILES = {
    "learnable_sgd": LearnableSGD(),
    "learnable_sgdm": LearnableMomentum(),
    "learnable_adam": LearnableAdam(),
    "mlp_lopt": MLPOptimizer(),
    "mlp_lopt_edge": MLPOptimizer(),
    "adafac_mlp_lopt_h4": AdafacMLP(),
    "adafac_mlp_lopt_h4_edge": AdafacMLP(),
    "adafac_mlp_lopt_h32": AdafacMLP(hidden_size=32),
    "nn_adam": NNAdam(),
    "nn_adam_decay": NNAdam(lstm_hidden_size=16, decay_strength=0.1),
    "nn_adam_edge": NNAdam(lstm_hidden_size=16),
    "rnn_mlp_lopt": RNNMLP(),
    "rnn_mlp_lopt_edge": RNNMLP(lstm_hidden_size=16),
    "rnn_mlp_lopt_celo": RNNMLP(lstm_hidden_size=16),
    "mulo_adafac_mlp": MuP(classes=CLASSES),
    "mulo_adafac_mlp_clip": MuP(AdafacMLP(step_mult=0.01), classes=CLASSES),
    "mulo_hyper": MuP(VeLO(16, 8, ff_mult=1.0, param_scale=False), classes=CLASSES),
    **{f"velo_{name}{kind}": VeLO(32, 8, **bugs) for name, bugs in BUGS.items() for kind in ("", "_long")},
    "velo_off_edge": VeLO(32, 8),
    "velo_released_cfg_small": VeLO(24, 12),
    "velo_noconfig_cfg_small": VeLO(24, 12, bugged_loss_features=True, bugged_lstm_state=True),
    "velo_s_ffmult1": VeLO(64, 8, ff_mult=1.0),
    "celo_released": Celo(),
    "celo_released_long": Celo(),
    "celo_released_edge": Celo(),
    "celo_random": Celo(),
    "celo_random_inits4": Celo(lstm_hidden_size=16, param_inits=4),
    "celo_random_phase1": Celo(lstm_hidden_size=16, phase=1),
    "celo_adam_released": CeloAdam(),
    "celo_adam_released_long": CeloAdam(),
    "celo_adam_random": CeloAdam(lstm_hidden_size=16),
    "celo2_optax_wd0": Celo2(**EVERYWHERE),
    "celo2_optax_wd0.1": Celo2(weight_decay=0.1, **EVERYWHERE),
    "celo2_optax_edge": Celo2(**EVERYWHERE),
    "celo2base_optax_wd0": Celo2(orthogonalise=False, **EVERYWHERE),
    "celo2base_optax_wd0.1": Celo2(orthogonalise=False, weight_decay=0.1, **EVERYWHERE),
    "celo2base_optax_edge": Celo2(orthogonalise=False, **EVERYWHERE),
    "celo2_routed_wd0": Celo2(**ROUTED),
    "celo2_routed_wd0.1": Celo2(weight_decay=0.1, **ROUTED),
    "open_random": Open(),
    "open_released_breakout": Open(),
    "open_released_multi": Open(hidden_size=32, gru_size=16),
}
"""The rule that each file of trajectories is of."""

CLIPPED = {"mulo_adafac_mlp_clip"}
"""Files whose gradients were clipped to a global norm of 1 before the rule."""


def open_layout(rule):
    """Meta-parameters of Open, as flax names them."""
    gru, mlp = "gru_params/params", "params/params/layers"
    size = {"axis": -1, "size": rule.gru_size}
    gates = {f"{gru}/i{gate}/kernel": Published("gru/input_w", **size) for gate in "rzn"}
    gates |= {f"{gru}/i{gate}/bias": Published("gru/input_b", **size) for gate in "rzn"}
    gates |= {f"{gru}/h{gate}/kernel": Published("gru/hidden_w", **size) for gate in "rzn"}
    kinds = {"w": (3, 0, "kernel"), "b": (3, 0, "bias")}
    norms = {"scale": (2, 1, "scale"), "offset": (2, 1, "bias")}
    layers = {
        f"{mlp}_{3 * i + shift}/{theirs}": Published(f"mlp/{ours}{i}")
        for ours, (number, shift, theirs) in (kinds | norms).items()
        for i in range(number)
    }
    return gates | {f"{gru}/hn/bias": Published("gru/hidden_b")} | layers


def open_arguments(trajectory, dtype):
    return lambda step: {
        "noise": trajectory.tree(f"noise/{step}/", dtype),
        "activations": trajectory.tree(f"activations/{step}/", dtype),
        "training_proportion": jnp.asarray(trajectory.arrays["training_prop"][step], dtype),
        "batch_proportion": jnp.asarray(trajectory.arrays["batch_prop"][step], dtype),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FILES)
def test_parity(shared, name, dtype):
    trajectory, rule = golden.load_trajectory(shared, name), FILES[name]
    with jax.enable_x64(dtype == "float64"):
        dtype = jnp.dtype(dtype)
        is_open = isinstance(rule, Open)
        theta = trajectory.theta(rule, dtype, open_layout(rule) if is_open else None)
        optimizer = rule.optimizer(theta, golden.NUM_STEPS)
        if name in CLIPPED:
            optimizer = optax.chain(optax.clip_by_global_norm(1.0), optimizer)
        arguments = {"arguments": open_arguments(trajectory, dtype)} if is_open else {}
        golden.assert_parity(trajectory, optimizer, dtype, **arguments)


def test_every_file_has_its_test(shared):
    assert {path.stem for path in golden.folder(shared).glob("*.npz")} == FILES.keys()


def test_layer_proportions_are_those_of_the_reference(shared):
    trajectory = golden.load_trajectory(shared, "open_random")
    expected = {name: float(x) for name, x in trajectory.tree("layer_prop/").items()}
    assert layer_proportions(trajectory.tree("params/0/")) == expected
