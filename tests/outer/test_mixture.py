"""Mixtures: nobody starves, losses that cannot be compared are made comparable, shapes compile once each."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heurax.config import read_config
from heurax.errors import HeuraxError
from heurax.inner import InfluenceBalancing, SupervisedTraining, train
from heurax.outer import Family, FullES, Mixture, OuterOptimizer, PersistentES, RandomFamilies
from heurax.outer import TruncatedGradient as Gradient
from heurax.outer.normalised import LogLoss, RelativeLoss
from heurax.outer.turns import turns
from heurax.rules import LearnableAdam, OptaxOptimizer
from heurax.runs import OuterProgram, TrainConfig, tasks_mesh
from heurax.tasks import OwnTask, Quadratic
from problems import small_training

SGD = OuterOptimizer("sgd", 1e-2, warmup_steps=0, schedule="constant")
INNER = small_training(8)
SHORT = dataclasses.replace(INNER, task=Quadratic(dimension=2), num_steps=4)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=6), st.integers(0, 300))
def test_no_family_ever_has_less_than_its_share_rounded_down(weights, num_turns):
    schedule = turns(weights, num_turns)
    had = np.cumsum(schedule[:, None] == np.arange(len(weights))[None], axis=0)
    share = np.arange(1, num_turns + 1)[:, None] * np.asarray(weights)[None] / sum(weights)
    assert (had >= np.floor(share - 1e-6)).all()  # rounding of the shares themselves
    np.testing.assert_array_equal(schedule, turns(weights, 2 * num_turns)[:num_turns])


def test_equal_weights_make_a_round():
    assert turns((0.3, 0.3, 0.3), 7).tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.usefixtures("quick_compilation")
def test_programs_in_turn_are_the_one_step_for_all():
    """And each is reported by its name; the step that fits into one program is the reference."""
    families = (Family(normalise="sign"), Family("short", SHORT, weight=0.5, normalise="log"))
    outer = Mixture(families, turn_length=2, estimator=PersistentES(4, window=2), optimizer=SGD, num_steps=12)
    program = OuterProgram(INNER, outer, tasks_mesh(4, 1), num_steps=6)
    advance = program.compile()
    assert (len(advance.programs), advance.program_steps) == (2, 2)
    state, metrics = advance(program.init(0))
    step, alone = jax.jit(lambda state: outer.step(INNER, state)), outer.init(INNER, jax.random.key(0))
    for _ in range(6):
        alone, _ = step(alone)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), state.theta, alone.theta)
    assert metrics["meta_loss"].shape == (6,)
    assert metrics["inner/meta_loss"].shape == (4,)
    assert metrics["short/loss"].shape == (2,)
    np.testing.assert_array_equal(metrics["short/meta_loss"], metrics["meta_loss"][4:])  # inner, inner, short
    assert outer.inner_steps(INNER) == 2 * 4 * 2  # the same for both: two lifetimes, four tasks, windows of two


def test_baselines_divide_losses():
    """The meta-gradient is that of the plain loss, divided by what the baseline's lifetimes come to."""
    estimator = Gradient(4, window=4)
    key = jax.random.key(0)
    norms = {}
    for normalise in ("none", "baseline"):
        baseline = OptaxOptimizer("sgd", 0.1)
        outer = Mixture(
            (Family("q", SHORT, normalise=normalise),), baseline=baseline, estimator=estimator, optimizer=SGD
        )
        state = outer.init(INNER, key)
        _, norms[normalise] = jax.jit(lambda state, outer=outer: outer.programs(INNER)[0](state))(state)
    fixed = dataclasses.replace(SHORT, rule=OptaxOptimizer("sgd", 0.1))
    losses = jax.vmap(lambda key: train(fixed, fixed.rule.init(key), key).loss)(
        jax.random.split(jax.random.key(1), 2000)
    )
    assert 0.5 * losses.mean() < state.baselines["q"] < 2 * losses.mean()  # 8 lifetimes against 2,000
    plain, relative = norms["none"], norms["baseline"]
    np.testing.assert_allclose(relative["q/loss"], plain["q/meta_loss"], rtol=1e-5)
    for name in ("q/meta_loss", "q/gradient_norm"):
        np.testing.assert_allclose(relative[name] * state.baselines["q"], plain[name], rtol=1e-4)


def test_normalised_losses():
    state = INNER.init(INNER.rule.init(jax.random.key(0)), jax.random.key(1))
    theta, key = INNER.rule.init(jax.random.key(0)), jax.random.key(2)
    loss, meta_loss = INNER.step(theta, state, key)[1].loss, INNER.meta_loss(theta, state, key)
    for wrapped, normalise in (
        (LogLoss(INNER), jnp.log),
        (RelativeLoss(INNER, jnp.float32(-4.0)), lambda x: x / 4),
    ):
        result = wrapped.step(theta, state, key)[1]
        np.testing.assert_allclose([result.loss, result.metrics["loss"]], [normalise(loss), loss], rtol=1e-6)
        np.testing.assert_allclose(wrapped.meta_loss(theta, state, key), normalise(meta_loss), rtol=1e-6)
        assert (wrapped.rule, wrapped.num_steps) == (INNER.rule, INNER.num_steps)


def test_random_families_are_drawn_once_and_differ():
    outer = Mixture((Family(),), RandomFamilies(4, kinds=("Quadratic", "ConvNet"), normalise="sign"))
    inner = SupervisedTraining()
    outer.validate(inner)
    drawn = [family.inner_with_rule(inner).task for family in outer.random.draw(inner)]
    assert drawn == [family.inner.task for family in outer.random.draw(inner)]
    assert len(set(drawn)) == 4
    assert len(outer.programs(inner)) == 5


CONFIG = """
inner: {class_path: SupervisedTraining, init_args: {rule: TinyRule, num_steps: 20}}
outer:
  class_path: Mixture
  init_args:
    families:
    - {name: digits, weight: 2, normalise: sign}
    - name: quadratics
      inner:
        class_path: SupervisedTraining
        init_args: {task: {class_path: Quadratic, init_args: {dimension: 4}}, num_steps: 10}
      estimator: {class_path: FullES, init_args: {num_tasks: 8}}
    random: {count: 2, kinds: [Quadratic]}
""".replace("TinyRule", "LearnableAdam")


def test_a_mixture_is_one_config(tmp_path):
    path = tmp_path / "mixture.yaml"
    path.write_text(CONFIG)
    config, text = read_config(TrainConfig, path, ["--outer.estimator.window", "10"])
    outer = config.outer
    assert [family.name for family in outer.families] == ["digits", "quadratics"]
    assert outer.families[1].inner_with_rule(config.inner).rule == LearnableAdam()
    assert outer.families[1].inner.task == Quadratic(dimension=4)
    assert isinstance(outer.families[1].estimator, FullES)
    again = tmp_path / "again.yaml"
    again.write_text(text)
    assert read_config(TrainConfig, again)[0] == config


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        (lambda: Mixture(()), "families must not be empty"),
        (lambda: Mixture((Family("a"), Family("a"))), "different names, got a, a"),
        (lambda: Mixture(turn_length=0), "turn_length must be >= 1, got 0"),
        (lambda: Mixture((Family(estimator=FullES(4)),)), r"the same num_tasks, got \[4, 8\]"),
        (lambda: Mixture((Family(estimator=Gradient(), normalise="sign"),)), "by sign: TruncatedGradient compares no"),
        (lambda: Family("a b"), "name must be made of letters, digits"),
        (lambda: Family(weight=0.0), "weight must be > 0, got 0"),
        (lambda: RandomFamilies(2, kinds=("Quadric",)), "families must be some of"),
        (lambda: RandomFamilies(-1), "count must be >= 0, got -1"),
        (lambda: Mixture((Family("b", InfluenceBalancing()),)).validate(INNER), "InfluenceBalancing takes Scalar, got"),
        (lambda: Mixture((Family("c", SHORT),)).validate(INNER), "family 'c': window must be between 1 and"),
        (lambda: Mixture((), RandomFamilies(1)).validate(InfluenceBalancing()), "that is SupervisedTraining"),
    ],
)
def test_refusals(mixture, message):
    with pytest.raises(ValueError, match=message):
        mixture()


def test_a_refusal_on_the_command_line_is_one_sentence():
    with pytest.raises(HeuraxError, match="families must have different names, got a, a"):
        read_config(TrainConfig, None, ["--outer=Mixture", "--outer.families=[{name: a}, {name: a}]"])


def regression(distance, scale):
    """A point to be found at a distance: the best learning rate is proportional to it. Losses begin at `scale`."""
    data = 0.1 * distance * np.random.default_rng(0).normal(size=(64, 5)).astype(np.float32)
    return OwnTask(
        lambda key: distance * jax.random.normal(key, (5,)),
        lambda params, batch: scale / distance**2 * jnp.mean((params[None] - batch) ** 2),
        data,
        batch_size=8,
    )


@pytest.mark.slow
def test_sign_shaping_on_losses_a_thousand_times_apart():
    """The worse-off task of two ends lower with it than without, 5 of 5 seeds: losses relative to the first one."""
    rule, common = OptaxOptimizer("adam", 0.03), {"num_steps": 20, "loss_cap": 1e8}
    inners = {
        "large": SupervisedTraining(rule, regression(3.0, 1000.0), **common),
        "small": SupervisedTraining(rule, regression(0.02, 1.0), **common),
    }
    worse_off = {}
    for normalise in ("sign", "none"):
        families = tuple(Family(name, inner, normalise=normalise) for name, inner in inners.items())
        estimator, adam = FullES(8, sigma=0.1), OuterOptimizer("adam", 0.03, clip_norm=math.inf)
        outer = Mixture(families, estimator=estimator, optimizer=adam, num_steps=400)
        program = OuterProgram(inners["small"], outer, tasks_mesh(8, 1), num_steps=400)
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam raises decays to an integer power
            advance = program.compile()
        thetas = [advance(program.init(seed))[0].theta for seed in range(5)]

        def ends(inner, theta):
            """Mean loss over the last quarter, as a multiple of the mean first loss, of 64 lifetimes."""
            losses = jax.vmap(lambda key: train(inner, theta, key).loss)(jax.random.split(jax.random.key(99), 64))
            return jnp.mean(losses[:, -5:]) / jnp.mean(losses[:, 0])

        judge = jax.jit(lambda theta: jnp.stack([ends(inner, theta) for inner in inners.values()]))
        ended = np.array([judge(theta) for theta in thetas])
        worse_off[normalise] = ended.max(axis=1)
    assert (worse_off["sign"] < worse_off["none"]).all(), worse_off
