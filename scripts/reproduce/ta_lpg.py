"""Temporally aware LPG against plain LPG, both by evolution, over horizons; and by meta-gradients, beside them.

    python -m scripts.reproduce.ta_lpg RUNS [--short]

`RUNS` holds runs of `objectives/ta_lpg_small`: `ta_evolution`, `plain_evolution` (the same with the rule LPG) and
`ta_gradient` (the same by meta-gradients). All begin as one LPG that meta-gradients have found, which is the departure
from the paper that makes its comparison affordable here. Judged are returns of fresh episodes at the end of training,
at horizons in the range of meta-training and beyond it, on 10 seeds of 32 levels each, paired: the same levels and
random numbers for all rules. Schedules are the policy's entropy and the size of updates against progress n / N.

How much a rule depends on progress is measured by telling it another one, all else equal: how the size of the policy's
targets changes from n / N = 0.1 to 0.9. The correlation of updates with progress, which is reported as well, does not
tell: it is 0.8 for plain LPG, that cannot know n, since updates shrink as agents settle.

Writes `results/ta_lpg/`: `ta_lpg.json` with every figure, `finals.csv`, `schedules.csv`, `ta_lpg.png`. `--short` writes
a miniature beside the runs.
"""

import argparse
import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Key
from scripts.reproduce.arms import COLORS, HELD_OUT, Arm, console, kept, origin, slug, theta_of

from heurax.artifacts import PretrainedObjective
from heurax.config import read_config
from heurax.evaluation import Lifetimes, LifetimesConfig, bootstrap_mean, live
from heurax.files import write_text
from heurax.inner import ActorTraining
from heurax.rules import ObjectiveRule
from heurax.runs import TrainConfig, split_cpu

TEMPORAL, PLAIN, GRADIENT = "TA-LPG, evolution", "LPG, evolution", "TA-LPG, meta-gradients"
RUNS = {TEMPORAL: "ta_evolution", PLAIN: "plain_evolution", GRADIENT: "ta_gradient"}
HORIZONS, UNSEEN = (20, 60, 250), 500
NUM_SEEDS, LEVELS_PER_SEED = 10, 32
FINAL, SCHEDULES, REACTION = "final_return", ("entropy", "update_norm"), "size_of_targets"
LABELS = {REACTION: "relative size of targets\ntold n / N, all else equal"}
NUM_POINTS = 20
"""Points of a schedule: stretches of a lifetime, for all horizons the same."""


@functools.cache
def lived(inner: ActorTraining, num_lifetimes: int) -> Lifetimes:
    """Lifetimes on held-out levels."""
    return live(LifetimesConfig(inner, num_seeds=num_lifetimes, seed=HELD_OUT, num_points=NUM_POINTS))


def quantity(
    work: Path, name: str, what: str, inner: ActorTraining, num_seeds: int, per_seed: int, version: str
) -> Arm:
    """One quantity of lifetimes at every stretch, or the final return, as means over the levels of each seed."""

    def make() -> tuple[np.ndarray, np.ndarray, float]:
        lifetimes = lived(inner, num_seeds * per_seed)
        values = -lifetimes.meta_loss[:, None] if what == FINAL else lifetimes.curves[what]
        steps = np.array([inner.num_steps]) if what == FINAL else lifetimes.step
        seconds = lifetimes.run_seconds if what == FINAL else 0.0  # counted once
        return steps, values.reshape(num_seeds, per_seed, -1).mean(axis=1), seconds

    return kept(work, slug(f"{name}-{inner.num_steps}-{what}"), [repr(inner), num_seeds, per_seed, version, what], make)


def reaction(
    work: Path, name: str, rule: ObjectiveRule, inner: ActorTraining, num_seeds: int, per_seed: int, versions: list[str]
) -> Arm:
    """How large the policy's targets are at every progress that a rule is told, all else equal; relative to their mean.

    The rule judges what agents do that have lived half a lifetime by the rule of `inner`: the same for all rules.
    """

    def make() -> tuple[np.ndarray, np.ndarray, float]:
        objective = rule.objective(jax.jit(rule.init)(jax.random.key(0)))  # of a discovered rule: what was found

        def sizes(key: Key[Array, ""]) -> Array:
            key_init, key_life, key_play = jax.random.split(key, 3)
            theta = inner.rule.init(key)
            keys = jax.random.split(key_life, inner.num_steps // 2)
            state = inner.init(theta, key_init)
            state, _ = jax.lax.scan(lambda state, key: (inner.step(theta, state, key)[0], None), state, keys)
            _, _, rollout = inner.play(state, key_play)
            trajectory = inner.trajectory(state, rollout, inner.look(state.params, rollout.observation))

            def size(progress: Array) -> Array:
                told = trajectory._replace(step=progress * trajectory.num_steps)
                return jnp.mean(jnp.abs(objective.targets(objective.init(), told)[0].policy))

            return jax.vmap(size)(jnp.arange(NUM_POINTS + 1) / NUM_POINTS)

        values = jax.jit(jax.vmap(sizes))(jax.random.split(jax.random.key(HELD_OUT), num_seeds * per_seed))
        by_seed = np.asarray(values).reshape(num_seeds, per_seed, -1).mean(axis=1)
        steps = np.arange(NUM_POINTS + 1) * inner.num_steps / NUM_POINTS
        return steps, by_seed / by_seed.mean(axis=1, keepdims=True), 0.0

    return kept(
        work,
        slug(f"{name}-{inner.num_steps}-{REACTION}"),
        [repr(rule), repr(inner), num_seeds, per_seed, versions],
        make,
    )


def difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Of paired seeds: mean, interval, and how many are better."""
    return bootstrap_mean(ours - theirs)._asdict() | {"seeds_better": int(np.sum(ours > theirs))}


def entropy_fall(entropy: np.ndarray) -> np.ndarray:
    """Of each seed, the entropy at nine tenths of a lifetime minus that at one tenth."""
    points = entropy.shape[1]
    return entropy[:, min(int(0.9 * points), points - 1)] - entropy[:, int(0.1 * points)]


def change(sizes: np.ndarray) -> np.ndarray:
    """Of each seed, how far the relative size of targets differs between one tenth and nine tenths of a lifetime."""
    return np.abs(sizes[:, round(0.9 * NUM_POINTS)] - sizes[:, round(0.1 * NUM_POINTS)])


def correlation_with_progress(values: np.ndarray) -> np.ndarray:
    """Of each seed, the absolute value."""
    progress = np.arange(values.shape[1])
    return np.array([abs(np.corrcoef(progress, row)[0, 1]) if np.ptp(row) > 0 else 0.0 for row in values])


def schedules_figure(schedules: pd.DataFrame) -> Any:
    """One column per rule, one row per quantity, one curve per horizon."""
    from matplotlib.figure import Figure

    rules = list(dict.fromkeys(schedules["rule"]))
    fig = Figure(figsize=(3.2 * len(rules), 7.4), layout="constrained")
    quantities = (*SCHEDULES, REACTION)
    panels = fig.subplots(len(quantities), len(rules), sharex=True, sharey="row", squeeze=False)
    for row, what in zip(panels, quantities, strict=True):
        for axes, rule in zip(row, rules, strict=True):
            of_rule = schedules[(schedules["rule"] == rule) & (schedules["quantity"] == what)]
            for (horizon, curve), color in zip(of_rule.groupby("horizon"), COLORS, strict=False):
                axes.plot(curve["progress"], curve["mean"], color=color, lw=1.5, label=f"N = {horizon}")
                axes.fill_between(curve["progress"], curve["low"], curve["high"], color=color, alpha=0.2, lw=0)
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25, lw=0.5)
        row[0].set_ylabel(LABELS.get(what, what.replace("_", " ")), fontsize=8)
    for axes, rule in zip(panels[0], rules, strict=True):
        axes.set_title(rule, fontsize=9)
    for axes in panels[-1]:
        axes.set_xlabel("n / N", fontsize=8)
    fig.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    return fig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="directory of the three runs")
    parser.add_argument("--short", action="store_true", help="two seeds, two short horizons: whether it runs at all")
    options = parser.parse_args()
    split_cpu(None)
    runs, short = options.runs, options.short
    out = runs if short else Path("results/ta_lpg")
    num_seeds, per_seed = (2, 2) if short else (NUM_SEEDS, LEVELS_PER_SEED)
    seen, unseen = ((4,), 6) if short else (HORIZONS, UNSEEN)

    arms: dict[tuple[str, int, str], Arm] = {}
    for rule, folder in RUNS.items():
        run = runs / folder
        config, _ = read_config(TrainConfig, run / "config.yaml")
        assert isinstance(config.inner, ActorTraining)
        theta = theta_of(run / "artifact")
        for horizon in (*seen, unseen):
            found = PretrainedObjective(str(run))
            inner = dataclasses.replace(
                config.inner,
                rule=found,
                num_steps=horizon,
                shortest=None,
                critic=None,
                num_eval_episodes=2 if short else 64,
            )
            for what in (FINAL, *SCHEDULES):
                arms[rule, horizon, what] = quantity(runs, rule, what, inner, num_seeds, per_seed, theta)
            common = dataclasses.replace(inner, rule=PretrainedObjective(str(runs / "start")))
            arms[rule, horizon, REACTION] = reaction(
                runs, rule, found, common, num_seeds, per_seed, [theta, theta_of(runs / "start" / "artifact")]
            )

    def final(rule: str, horizon: int) -> np.ndarray:
        return arms[rule, horizon, FINAL].returns[:, -1]

    def over_seen(rule: str) -> np.ndarray:
        return np.mean([final(rule, horizon) for horizon in seen], axis=0)

    gains = {
        "mean over seen horizons": difference(over_seen(TEMPORAL), over_seen(PLAIN)),
        **{f"horizon {n}": difference(final(TEMPORAL, n), final(PLAIN, n)) for n in (*seen, unseen)},
    }
    for name, d in gains.items():
        console.print(
            f"{name}: {TEMPORAL} - {PLAIN} {d['mean']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]", highlight=False
        )
    falls = {rule: np.mean([entropy_fall(arms[rule, n, "entropy"].returns) for n in seen], axis=0) for rule in RUNS}
    correlation = {
        rule: np.mean([correlation_with_progress(arms[rule, n, "update_norm"].returns) for n in seen], axis=0)
        for rule in RUNS
    }
    dependence = {rule: np.mean([change(arms[rule, n, REACTION].returns) for n in seen], axis=0) for rule in RUNS}
    less = difference(dependence[TEMPORAL], dependence[GRADIENT])
    console.print(
        f"dependence on progress: {TEMPORAL} - {GRADIENT} {less['mean']:+.4f} [{less['low']:+.4f}, "
        f"{less['high']:+.4f}]",
        highlight=False,
    )

    out.mkdir(parents=True, exist_ok=True)
    finals = [
        {"rule": rule, "horizon": horizon, "seed": i, "final_return": x}
        for rule in RUNS
        for horizon in (*seen, unseen)
        for i, x in enumerate(final(rule, horizon))
    ]
    write_text(out / "finals.csv", pd.DataFrame(finals).to_csv(index=False, float_format="%.5g"))
    schedules = pd.DataFrame(
        {"rule": rule, "horizon": n, "quantity": what, "progress": step / n, **bootstrap_mean(column)._asdict()}
        for (rule, n, what), arm in arms.items()
        if what != FINAL
        for step, column in zip(arm.env_step, arm.returns.T, strict=True)
    )
    write_text(out / "schedules.csv", schedules.to_csv(index=False, float_format="%.5g"))
    schedules_figure(schedules).savefig(out / "ta_lpg.png", dpi=120)
    described = {
        "claim": "temporally aware LPG by evolution beats plain LPG by evolution on average over the horizons of "
        "meta-training and at one beyond them; by meta-gradients it depends less on progress",
        "score": "mean return of fresh episodes at the end of training",
        "seeds": num_seeds,
        "levels_per_seed": per_seed,
        "horizons": list(seen),
        "unseen_horizon": unseen,
        "gains": gains,
        "final_return": {
            rule: {str(n): bootstrap_mean(final(rule, n))._asdict() for n in (*seen, unseen)} for rule in RUNS
        },
        "entropy_at_0.9_minus_at_0.1": {rule: bootstrap_mean(x)._asdict() for rule, x in falls.items()},
        "dependence_on_progress": {rule: bootstrap_mean(x)._asdict() for rule, x in dependence.items()},
        "evolution_minus_meta_gradients": less,
        "correlation_of_updates_with_progress": {rule: bootstrap_mean(x)._asdict() for rule, x in correlation.items()},
        "passed": {
            "seen horizons": gains["mean over seen horizons"]["low"] > 0,
            "unseen horizon": gains[f"horizon {unseen}"]["low"] > 0,
            "entropy falls more": bool(np.mean(falls[TEMPORAL]) < np.mean(falls[PLAIN])),
            "meta-gradients depend less on progress": less["low"] > 0,
        },
        "training": {rule: json.loads((runs / folder / "summary.json").read_text()) for rule, folder in RUNS.items()},
        "origin": origin("bash scripts/reproduce/ta_lpg.sh", arms.values()),
    }
    write_text(out / "ta_lpg.json", json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    main()
