"""LPG and Disco against the published code: every value that the reference files hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from heurax.artifacts.importers import import_artifact
from heurax.rules import LPG, Disco, TemporallyAwareLPG, Trajectory
from heurax.rules.objectives.disco import DiscoState
from heurax.rules.objectives.disco_network import LifetimeState
from heurax.rules.objectives.lpg import LPGTargets, lpg_inputs, lpg_network
from heurax.rules.objectives.returns import MovingMoments, expected_value

CLOSE = {"rtol": 1e-5, "atol": 1e-6}
THROUGH_BINS = {"rtol": 1e-4, "atol": 1e-4}
"""Values that pass through the 601 bins and back: the reference cancels digits there."""
IN_THE_SCALE_OF_VALUES = {f"meta_out/{name}" for name in ("q_target", "q_value", "q_td", "adv", "qv_adv")}


def reference(shared, name):
    path = shared / "golden" / "rl" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no reference values {path.name} in the shared folder")
    return dict(np.load(path))


def swapped(x):
    """From batch first to time first."""
    return jnp.asarray(np.swapaxes(x, 0, 1))


def lpg_theta(golden):
    gru = "theta/LPGGRU_0/GRUCell_0"
    dense = lambda name: {"w": golden[f"theta/{name}/kernel"], "b": golden[f"theta/{name}/bias"]}  # noqa: E731
    together = lambda kind, names: np.concatenate([golden[f"{gru}/{n}/{kind}"] for n in names], axis=-1)  # noqa: E731
    theta = {
        "embedding": [dense("MLP_0/Dense_0"), dense("MLP_0/Dense_1")],
        "unit": {
            "input": {"w": together("kernel", ("ir", "iz", "in")), "b": together("bias", ("ir", "iz", "in"))},
            "hidden": together("kernel", ("hr", "hz", "hn")),
            "hidden_bias": golden[f"{gru}/hn/bias"],
        },
        "policy": dense("Dense_0"),
        "prediction": dense("Dense_1"),
    }
    return jax.tree.map(jnp.asarray, theta)


def assert_lpg_parity(golden, targets):
    np.testing.assert_allclose(targets.policy, golden["out/pi_hat"][..., 0].T, **CLOSE)
    np.testing.assert_allclose(jax.nn.softmax(targets.prediction), swapped(golden["out/y_hat"]), **CLOSE)


def shapes(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@pytest.mark.parametrize(
    ("name", "rule"),
    [("lpg", LPG(8, 32)), ("lpg_lifetime", TemporallyAwareLPG(8, 32, raw=True))],
    ids=["lpg", "lpg_lifetime"],
)
def test_lpg_is_the_published_network(shared, name, rule):
    golden = reference(shared, name)
    theta = lpg_theta(golden)
    assert shapes(theta) == shapes(jax.eval_shape(rule.init, jax.random.key(0)))
    reward, ended, probability, y, y_after = (
        swapped(golden[f"in/{field}"]) for field in ("reward", "done", "pi", "y_t", "y_tp1")
    )
    x = lpg_inputs(theta, reward, ended > 0, probability, y, y_after)
    if name == "lpg_lifetime":
        time = jnp.stack([jnp.asarray(golden["in/step"]), jnp.asarray(golden["in/lifetime"])])
        x = jnp.concatenate([x, jnp.broadcast_to(time, (*x.shape[:2], 2))], axis=-1)
    assert_lpg_parity(golden, lpg_network(theta, x, ended > 0))


@pytest.mark.parametrize(
    ("name", "rule"),
    [("lpg", LPG(8, 32)), ("lpg_lifetime", TemporallyAwareLPG(8, 32, raw=True))],
    ids=["lpg", "lpg_lifetime"],
)
def test_lpg_reads_trajectories_as_the_published_code_does(shared, name, rule):
    """Two steps at a time, so that the second of two predictions is that of the file's `y_tp1`."""
    golden = reference(shared, name)
    theta = lpg_theta(golden)
    probability = swapped(golden["in/pi"])[-1:]
    y = jnp.stack([swapped(golden["in/y_t"])[-1], swapped(golden["in/y_tp1"])[-1]])
    trajectory = Trajectory(
        outputs={
            "logits": jnp.log(jnp.stack([probability, 1 - probability], axis=-1)).repeat(2, axis=0),
            "y": jnp.log(y),
        },
        target_outputs={},
        behaviour_logits=jnp.zeros((1, 3, 2)),
        action=jnp.zeros((1, 3), jnp.int32),
        reward=swapped(golden["in/reward"])[-1:],
        ended=swapped(golden["in/done"])[-1:] > 0,
        step=jnp.asarray(golden["in/step"]),
        num_steps=jnp.asarray(golden["in/lifetime"]),
    )
    targets, _ = rule.objective(theta).targets((), trajectory)
    last = {name: golden[name][:, -1:] for name in ("out/pi_hat", "out/y_hat")}
    assert_lpg_parity(last, LPGTargets(*targets))


def disco_trajectory(golden, update):
    get = lambda name: jnp.asarray(golden[f"{update}/{name}"])  # noqa: E731
    ours = {"logits": "logits", "y": "y", "z": "z", "q": "q", "next_logits": "aux_pi"}
    outputs = {name: get(f"agent_out/{theirs}") for name, theirs in ours.items()}
    return Trajectory(
        outputs=outputs,
        # what would be the target network's guess at its next policy is not in the file: nothing looks at it
        target_outputs={name: get(f"target_out/{name}") for name in ("logits", "y", "z", "q")}
        | {"next_logits": jnp.full_like(outputs["next_logits"], jnp.nan)},
        behaviour_logits=get("behaviour_out/logits")[:-1],
        action=get("actions")[:-1],
        reward=get("rewards"),
        ended=get("is_terminal"),
        step=jnp.float32(update),
        num_steps=jnp.float32(2),
    )


def test_disco_is_the_published_rule(shared):
    """Two consecutive updates with the released weights."""
    golden = reference(shared, "disco_103")
    rule = Disco()
    objective = rule.objective(import_artifact(shared / "weights" / "disco_103.npz", rule).theta)
    initial = LifetimeState(
        *(jnp.asarray(golden[f"rnn_state_init/['lstm']['meta_rnn_state'].{part}"]) for part in ("hidden", "cell"))
    )
    state = objective.init()
    jax.tree.map(np.testing.assert_array_equal, state.lifetime, initial)
    for update in (0, 1):
        trajectory = disco_trajectory(golden, update)
        targets, state = jax.jit(objective.targets)(state, trajectory)
        assert isinstance(state, DiscoState)
        meta, estimates = targets.meta, targets.estimates
        found = {
            "meta_out/pi": meta.policy,
            "meta_out/y": meta.y,
            "meta_out/z": meta.z,
            "meta_out/q_target": estimates.returns,
            "meta_out/adv": estimates.advantage,
            "meta_out/normalized_adv": estimates.normalised_advantage,
            "meta_out/qv_adv": estimates.action_advantage,
            "meta_out/normalized_qv_adv": estimates.normalised_action_advantage,
            "meta_out/q_value": estimates.action_value,
            "meta_out/q_td": estimates.error,
            "meta_out/normalized_q_td": estimates.normalised_error,
            "loss/agent_per_step": rule.agent_loss(trajectory.outputs, trajectory, targets),
            "loss/value_per_step": rule.value_loss(trajectory.outputs, trajectory, targets),
            "rnn_state/['lstm']['meta_rnn_state'].hidden": state.lifetime.hidden,
            "rnn_state/['lstm']['meta_rnn_state'].cell": state.lifetime.cell,
        }
        for index, moments in enumerate((state.advantage, state.error)):
            assert isinstance(moments, MovingMoments)
            for theirs, value in (
                ("decay_product", moments.decay_product),
                ("moment1", moments.first),
                ("moment2", moments.second),
            ):
                found[f"ema/[{index}].{theirs}"] = value
        outputs_of_file = {
            name.partition("/")[2]
            for name in golden
            if name.startswith(f"{update}/")
            and not name.partition("/")[2].startswith(("agent_out", "target_out", "behaviour_out", "actions"))
        } - {"rewards", "is_terminal"}
        assert found.keys() == outputs_of_file
        for name, value in found.items():
            expected = golden[f"{update}/{name}"]
            assert value.shape == expected.shape, name
            # Of values up to 60 the reference is wrong by up to 1e-3 (in float64: below), and so are their differences.
            scale = np.abs(expected).max() if name in IN_THE_SCALE_OF_VALUES else 1.0
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-4 * scale, err_msg=f"{update} {name}")
        loss, _ = objective.loss(trajectory.outputs, trajectory, targets)
        both = golden[f"{update}/loss/agent_per_step"] + golden[f"{update}/loss/value_per_step"]
        np.testing.assert_allclose(loss, both, **THROUGH_BINS)


def test_values_are_nearer_to_float64_than_the_reference(shared):
    golden = reference(shared, "disco_103")
    q = golden["0/agent_out/q"].astype(np.float64)
    probabilities = np.exp(q - np.log(np.exp(q).sum(axis=-1, keepdims=True)))
    y, epsilon = probabilities @ np.linspace(-300, 300, 601), 1e-3
    root = (np.sqrt(1 + 4 * epsilon * (epsilon + 1 + np.abs(y))) - 1) / (2 * epsilon)
    exact = np.sign(y) * (root**2 - 1)
    ours = expected_value(jnp.asarray(golden["0/agent_out/q"]), 300.0)
    np.testing.assert_allclose(ours, exact, rtol=2e-5, atol=2e-5)
    assert np.abs(ours - exact).max() < np.abs(golden["0/meta_out/q_value"] - exact).max() / 2
