"""What every objective owes an inner loop, over all rules; and short references."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from golden import QUICK
from heurax import artifacts
from heurax.errors import HeuraxError
from heurax.rules import LPG, OBJECTIVES, RULES, ActorCritic, Disco, LearnableSGD, TemporallyAwareLPG, Trajectory
from heurax.rules.objectives.returns import (
    initial_moments,
    multistep_returns,
    normalise,
    signed_hyperbolic,
    signed_parabolic,
    two_hot,
    update_moments,
)

SMALL_DISCO = {"prediction_size": 5, "hidden_size": 6, "lifetime_size": 4, "embedding_size": 3, "num_bins": 11}
SMALL = {"Disco": SMALL_DISCO | {"max_abs_value": 5.0}, "LPG": {"prediction_size": 4, "hidden_size": 5}}
SMALL["TemporallyAwareLPG"] = SMALL["LPG"]
VARIANTS = {name: rule(**SMALL.get(name, {})) for name, rule in OBJECTIVES.items()}
VARIANTS["raw"] = TemporallyAwareLPG(**SMALL["LPG"], raw=True)
VARIANTS["normalised"] = ActorCritic(normalise_advantages=True)
every_rule = pytest.mark.parametrize("rule", VARIANTS.values(), ids=VARIANTS)
TIME, BATCH, NUM_ACTIONS = 4, 3, 2


def random_outputs(rule, key, num_actions=NUM_ACTIONS):
    heads = rule.heads(num_actions)
    keys = jax.random.split(key, len(heads))
    shape = (TIME + 1, BATCH)
    return {h.name: jax.random.normal(k, (*shape, *h.shape(num_actions))) for h, k in zip(heads, keys, strict=True)}


def random_trajectory(rule, seed=0):
    keys = jax.random.split(jax.random.key(seed), 6)
    return Trajectory(
        outputs=random_outputs(rule, keys[0]),
        target_outputs={} if rule.target_decay is None else random_outputs(rule, keys[1]),
        behaviour_logits=jax.random.normal(keys[2], (TIME, BATCH, NUM_ACTIONS)),
        action=jax.random.randint(keys[3], (TIME, BATCH), 0, NUM_ACTIONS),
        reward=jax.random.normal(keys[4], (TIME, BATCH)),
        ended=jax.random.bernoulli(keys[5], 0.3, (TIME, BATCH)),
        step=jnp.float32(3),
        num_steps=jnp.float32(10),
    )


def run(rule, theta, trajectory):
    """Targets, the next state, and the mean loss with its gradient in the outputs."""
    objective = rule.objective(theta)
    targets, state = objective.targets(objective.init(), trajectory)

    def mean_loss(outputs):
        loss, metrics = objective.loss(outputs, trajectory, targets)
        return jnp.mean(loss), (loss, metrics)

    (_, (loss, metrics)), gradient = jax.value_and_grad(mean_loss, has_aux=True)(trajectory.outputs)
    return targets, state, loss, metrics, gradient


def describe(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype, getattr(x, "weak_type", False)), tree)


def assert_close(ours, theirs):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, theirs)


@every_rule
def test_contract(rule):
    theta, trajectory = rule.init(jax.random.key(1)), random_trajectory(rule)
    assert rule.heads(NUM_ACTIONS)[0] == ("logits", NUM_ACTIONS, False)
    assert hash(rule) == hash(dataclasses.replace(rule))
    together = jax.jit(lambda *x: run(rule, *x), compiler_options=QUICK)(theta, trajectory)
    if not isinstance(rule, Disco):  # hundreds of operations, each compiled alone
        assert_close(together[:2], rule.objective(theta).targets(rule.init_state(theta), trajectory))
    targets, state, loss, metrics, gradient = together
    assert loss.shape == (TIME, BATCH)
    assert all(x.shape == () for x in metrics.values())
    assert {x.dtype for x in jax.tree.leaves(together)} == {jnp.dtype("float32")}
    assert describe(state) == describe(rule.init_state(theta))
    for name, slope in gradient.items():
        assert np.any(slope[:-1] != 0), f"the loss does not depend on {name}"
        assert not np.any(slope[-1]), f"a gradient reaches {name} after the last step"
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(targets))

    agents = jax.tree.map(lambda *x: jnp.stack(x), trajectory, random_trajectory(rule, 1))
    side_by_side = jax.jit(jax.vmap(lambda x: run(rule, theta, x)), compiler_options=QUICK)(agents)
    assert_close(jax.tree.map(lambda x: x[0], side_by_side), together)


@every_rule
def test_meta_parameters_have_gradients(rule):
    """Of what three updates do to outputs that make steps of gradient descent themselves.

    A fresh network over a lifetime says nothing before the second, nor hears of what it said before the third.
    """
    theta, trajectory = rule.init(jax.random.key(1)), random_trajectory(rule)
    if not jax.tree.leaves(theta):
        assert isinstance(rule, ActorCritic)
        return

    def after_three_updates(theta):
        objective = rule.objective(theta)

        def update(carry, _):
            outputs, state = carry
            now = trajectory._replace(outputs=outputs)
            targets, state = objective.targets(state, now)
            gradient = jax.grad(lambda x: jnp.mean(objective.loss(x, now, targets)[0]))(outputs)
            return (jax.tree.map(lambda x, g: x - g, outputs, gradient), state), None

        outputs, _ = jax.lax.scan(update, (trajectory.outputs, objective.init()), length=3)[0]
        return sum(jnp.sum(jnp.sin(x)) for x in outputs.values())

    gradient = jax.jit(jax.grad(after_three_updates), compiler_options=QUICK)(theta)
    for path, leaf in jax.tree.leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), jax.tree_util.keystr(path)
        assert np.any(leaf != 0), jax.tree_util.keystr(path)


@every_rule
def test_episodes_do_not_mix(rule):
    """What comes after the observation that follows an end is not known before it."""
    theta, trajectory = rule.init(jax.random.key(1)), random_trajectory(rule)
    if isinstance(rule, Disco | ActorCritic) and getattr(rule, "normalise_advantages", True):
        return  # standardised over the batch: the statistics are those of all episodes
    trajectory = trajectory._replace(ended=jnp.zeros((TIME, BATCH), jnp.bool).at[1].set(True))
    changed = trajectory._replace(
        outputs={name: x.at[3:].add(1.0) for name, x in trajectory.outputs.items()},
        reward=trajectory.reward.at[2:].add(1.0),
    )
    before, after = (rule.objective(theta).targets(rule.init_state(theta), x)[0] for x in (trajectory, changed))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:2], b[:2]), before, after)
    assert any(np.any(a[2:] != b[2:]) for a, b in zip(before, after, strict=True))


@every_rule
def test_lacking_outputs_are_refused(rule):
    trajectory, theta = random_trajectory(rule), rule.init(jax.random.key(0))
    objective, name = rule.objective(theta), type(rule).__name__
    for head in rule.heads(NUM_ACTIONS):
        outputs = {other: x for other, x in trajectory.outputs.items() if other != head.name}
        with pytest.raises(ValueError, match=f"outputs lack '{head.name}', which {name} needs from an agent"):
            objective.targets(objective.init(), trajectory._replace(outputs=outputs))
    last = rule.heads(NUM_ACTIONS)[-1].name
    outputs = {**trajectory.outputs, last: trajectory.outputs[last][..., :-1]}
    with pytest.raises(ValueError, match=rf"outputs\['{last}'\] must have shape \[5, 3, .* for {name}, got \[5, 3"):
        objective.targets(objective.init(), trajectory._replace(outputs=outputs))
    if rule.target_decay is not None:
        with pytest.raises(ValueError, match=f"target_outputs lack 'logits', which {name} needs"):
            objective.targets(objective.init(), trajectory._replace(target_outputs={}))


@every_rule
def test_artifacts_hold_objectives(rule, tmp_path):
    theta, trajectory = rule.init(jax.random.key(1)), random_trajectory(rule)
    artifacts.save(tmp_path / "rule", artifacts.Artifact(rule, theta))
    loaded = artifacts.load(tmp_path / "rule")
    assert loaded.rule == rule
    compiled = lambda rule, theta: jax.jit(lambda *x: run(rule, *x), compiler_options=QUICK)(theta, trajectory)  # noqa: E731
    expected = compiled(rule, theta)
    pretrained = artifacts.PretrainedObjective(str(tmp_path / "rule"))
    assert pretrained.heads(3) == loaded.objective.heads(3) == rule.heads(3)
    assert pretrained.target_decay == rule.target_decay
    found = compiled(pretrained, pretrained.init(jax.random.key(5)))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_other_rules_are_no_objectives(tmp_path):
    rule = LearnableSGD()
    artifacts.save(tmp_path / "sgd", artifacts.Artifact(rule, rule.init(jax.random.key(0))))
    with pytest.raises(HeuraxError, match="LearnableSGD is not an objective, so it has no targets and no loss"):
        _ = artifacts.load(tmp_path / "sgd").objective
    with pytest.raises(HeuraxError, match="must be an objective, got LearnableSGD"):
        artifacts.PretrainedObjective(str(tmp_path / "sgd"))


@pytest.mark.parametrize(
    ("cls", "changes", "message"),
    [
        (LPG, {"prediction_size": 1}, "prediction_size must be >= 2, got 1"),
        (LPG, {"policy_penalty": -1.0}, "policy_penalty must be >= 0"),
        (TemporallyAwareLPG, {"prediction_weight": 0.0}, "prediction_weight must be > 0"),
        (TemporallyAwareLPG, {"hidden_size": 0}, "hidden_size must be >= 1"),
        (ActorCritic, {"discount": 1.1}, r"discount must be in \[0, 1\], got 1.1"),
        (ActorCritic, {"entropy_weight": -1.0}, "entropy_weight must be >= 0"),
        (Disco, {"num_bins": 600}, "num_bins must be odd, got 600"),
        (Disco, {"num_bins": 1}, "num_bins must be >= 3"),
        (Disco, {"max_abs_value": 0.0}, "max_abs_value must be > 0"),
        (Disco, {"network_decay": 1.0}, r"network_decay must be in \[0, 1\)"),
        (Disco, {"trace_decay": -0.1}, r"trace_decay must be in \[0, 1\]"),
        (Disco, {"z_weight": -1.0}, "z_weight must be >= 0"),
    ],
)
def test_bad_values_are_refused(cls, changes, message):
    assert cls.__name__ in RULES
    with pytest.raises(ValueError, match=message):
        cls(**changes)


def test_multistep_returns_are_those_of_a_loop():
    reward, value, action_value, trace = (np.random.default_rng(i).normal(size=(6, 2)).astype("f") for i in range(4))
    discount = np.array([0.9, 0.9, 0.0, 0.9, 0.9, 0.9], "f")[:, None].repeat(2, axis=1)
    expected, later = np.zeros((6, 2), "f"), np.zeros(2, "f")
    for t in reversed(range(6)):
        correction = trace[t] * (later - action_value[t]) if t < 5 else 0.0
        later = expected[t] = reward[t] + discount[t] * (value[t] + correction)
    found = multistep_returns(*(jnp.asarray(x) for x in (reward, discount, value, action_value, trace)))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_values_and_bins_are_inverse():
    values = jnp.array([-5e4, -300.0, -1.0, -1e-3, 0.0, 0.3, 7.0, 1e4], jnp.float32)
    np.testing.assert_allclose(signed_parabolic(signed_hyperbolic(values)), values, rtol=1e-5, atol=1e-6)
    probabilities = two_hot(values, 601, 300.0)
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1.0, rtol=1e-6)
    assert np.all(np.count_nonzero(probabilities, axis=-1) <= 2)
    mean = probabilities @ jnp.linspace(-300.0, 300.0, 601, dtype=jnp.float32)
    np.testing.assert_allclose(signed_parabolic(mean), values, rtol=1e-3, atol=1e-4)  # bins of width 1, in float32


def test_moving_moments_standardise():
    x = jnp.asarray(np.random.default_rng(0).normal(3.0, 2.0, (100, 64)), jnp.float32)
    moments = jax.lax.scan(lambda m, x: (update_moments(m, x, 0.9), None), initial_moments(), x)[0]
    weights = 0.9 ** np.arange(99, -1, -1)[:, None] * np.ones((1, 64))
    mean = np.average(x, weights=weights)
    deviation = np.sqrt(np.average((np.asarray(x) - mean) ** 2, weights=weights))
    np.testing.assert_allclose(normalise(x, moments, 1e-6), (np.asarray(x) - mean) / deviation, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(normalise(x, moments, 1e-6, centre=False), np.asarray(x) / deviation, rtol=1e-4)


def test_the_actor_critic_is_a2c():
    """Against the gradient of log-probabilities times generalised advantages, written out."""
    rule, trajectory = ActorCritic(discount=0.9, trace_decay=0.8), random_trajectory(ActorCritic())
    targets, _, loss, _, _ = run(rule, (), trajectory)
    v, reward, ended = (np.asarray(x) for x in (trajectory.outputs["v"][..., 0], trajectory.reward, trajectory.ended))
    advantage, later = np.zeros((TIME, BATCH)), np.zeros(BATCH)
    for t in reversed(range(TIME)):
        alive = 1.0 - ended[t]
        later = advantage[t] = reward[t] + 0.9 * alive * v[t + 1] - v[t] + 0.9 * 0.8 * alive * later
    np.testing.assert_allclose(targets.advantage, advantage, rtol=1e-4, atol=1e-5)
    log_policy = np.asarray(jax.nn.log_softmax(trajectory.outputs["logits"][:-1]))
    taken = np.take_along_axis(log_policy, np.asarray(trajectory.action)[..., None], axis=-1)[..., 0]
    entropy = -(np.exp(log_policy) * log_policy).sum(axis=-1)
    np.testing.assert_allclose(loss, -taken * advantage + 0.25 * advantage**2 - 0.01 * entropy, rtol=1e-4, atol=1e-5)


def test_temporal_awareness_is_of_progress_and_of_the_horizon():
    """In the paper's form the network sees n / N and log N; in the other, n and N."""
    rule, aware = LPG(4, 5), TemporallyAwareLPG(4, 5)
    theta, trajectory = aware.init(jax.random.key(0)), random_trajectory(rule)
    of_time = lambda n, horizon, raw=False: dataclasses.replace(aware, raw=raw).targets(  # noqa: E731
        theta, (), trajectory._replace(step=jnp.float32(n), num_steps=jnp.float32(horizon))
    )[0]
    # the two inputs of time are the last: without them, and where both are 0, it is plain LPG
    plain = {**theta, "unit": {**theta["unit"], "input": {**theta["unit"]["input"]}}}
    plain["unit"]["input"]["w"] = theta["unit"]["input"]["w"][:-2]
    assert_close(of_time(0, 1), rule.targets(plain, (), trajectory)[0])
    assert_close(of_time(5, 10), of_time(0.5, np.log(10.0), raw=True))
    assert np.any(np.abs(of_time(5, 10).policy - of_time(9, 10).policy) > 1e-3)
