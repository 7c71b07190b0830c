"""Directories as `heurax train`, `heurax evaluate` and `heurax sweep` leave them, made by hand: small, and known."""

import functools
import itertools
import json
from pathlib import Path

import jax
import pandas as pd

from heurax import artifacts
from heurax.config import read_config
from heurax.evaluation.tables import SCHEMAS
from heurax.evaluation.tables import write_table as write_suite_table
from heurax.rules import LearnableSGD
from heurax.runs import TrainConfig
from heurax.sweeps import SweepTable, TrialRecord, write_table

OVERRIDES = (
    *("--inner.rule", "LearnableSGD", "--inner.task", "Quadratic", "--inner.num_steps", "20"),
    *("--outer.num_steps", "40", "--outer.optimizer.warmup_steps", "10", "--steps_per_dispatch", "10"),
    *("--checkpoint_every", "20"),
)

ENVIRONMENT = {
    "heurax": "0.1.0",
    "code_version": "0123456789ab",
    "python": "3.11.7",
    "packages": {"jax": "0.10.2"},
    "device": "cpu",
    "num_devices": 2,
}


@functools.cache
def config_text(seed):
    return read_config(TrainConfig, None, [*OVERRIDES, "--seed", str(seed)])[1]


def make_run(
    directory: Path, losses=(3.0, 1.0, None, 0.25), status="finished", seed=0, artifact=True, starts=1, **metrics
):
    """A run of one record for every ten outer steps; a loss of None was not finite. No status, no summary."""
    directory.mkdir(parents=True)
    (directory / "config.yaml").write_text(config_text(seed))
    records = [
        {"step": 10 * (i + 1), "meta_loss": loss, **{name: values[i] for name, values in metrics.items()}}
        for i, loss in enumerate(losses)
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    if artifact:
        rule = LearnableSGD(0.5)
        artifacts.save(directory / "artifact", artifacts.Artifact(rule, rule.init(jax.random.key(0))))
    start = {
        "time": "2026-11-24T16:00:00+00:00",
        "command": ["heurax", "train", "a config"],
        "seed": seed,
        "environment": ENVIRONMENT,
        "packages": {"jax": "0.10.2"},
        "data": {"digits": "0" * 64},
    }
    if starts:
        (directory / "provenance.json").write_text(json.dumps({"starts": [start] * starts}))
    if status is not None:
        summary = {
            "status": status,
            "outer_steps": 10 * len(losses),
            "meta_loss": losses[-1] if losses else None,
            "inner_steps": 1000,
            "outer_steps_per_second": 5.0,
            "inner_steps_per_second": 125.0,
            "compile_seconds": 1.0,
            "run_seconds": 8.0,
            "memory_bytes_per_device": 749096,
            "num_devices": 2,
            "environment": ENVIRONMENT,
        }
        (directory / "summary.json").write_text(json.dumps(summary))
    return directory


def make_evaluation(directory: Path, baseline="adam"):
    """A learned optimizer beside one baseline at two learning rates: 2 seeds, 3 steps."""
    directory.mkdir(parents=True, exist_ok=True)
    finals = pd.DataFrame(
        [("learned", None, True, seed, 0.5, loss, 1.0, 1.5) for seed, loss in enumerate((0.1, 0.3))]
        + [(baseline, 0.01, True, seed, 0.5, loss, 1.0, 1.5) for seed, loss in enumerate((0.2, 0.6))]
        + [(baseline, 0.1, False, seed, 0.5, loss, 1.0, 1.5) for seed, loss in enumerate((2.0, 4.0))],
        columns=[
            *("optimizer", "learning_rate", "tuned", "seed", "mean_train_loss"),
            *("final_train_loss", "final_validation_loss", "final_test_loss"),
        ],
    )
    finals.to_csv(directory / "evaluation.csv", index=False)
    curves = pd.DataFrame(
        [(name, step, 2.0 / step, 1.0 / step, 3.0 / step) for name in ("learned", baseline) for step in (1, 2, 3)],
        columns=["optimizer", "step", "mean", "low", "high"],
    )
    curves.to_csv(directory / "evaluation_curves.csv", index=False)

    def described(name, rate, mean):
        interval = {"mean": mean, "low": mean / 2, "high": 2 * mean}
        losses = {f"final_{split}_loss": interval for split in ("train", "validation", "test")}
        return {"name": name, "learning_rate": rate, **losses}

    summary = {
        "learned": described("learned", None, 0.2),
        "baselines": {baseline: described(baseline, 0.01, 0.4) | {"learning_rate_at_grid_edge": True}},
        "best_baseline": baseline,
        "paired_difference": {"mean": -0.2, "low": -0.3, "high": -0.1},
        "seeds_won": 2,
        "num_seeds": 2,
        "num_steps": 3,
        "identity": {
            "artifact": "artifact",
            "theta_sha256": "0" * 64,
            "config": {"num_steps": 3, "baselines": [baseline]},
        },
    }
    (directory / "evaluation.json").write_text(json.dumps(summary))
    return directory


def make_suite(directory: Path):
    """A learned optimizer and AdamW on two tasks, for two horizons: 2 seeds, 3 points."""
    directory.mkdir(parents=True)
    runs, curves, scores, profiles, costs = [], [], [], [], []
    half = {"learned": 0.5, "adamw": 1.0}
    for task, steps, name, seed in itertools.product("ab", (100, 200), half, (0, 1)):
        key = {"task": task, "num_steps": steps, "optimizer": name, "seed": seed}
        trained = {"stage": "judging", "setting": 0, "learning_rate": 0.01}
        losses = dict.fromkeys([f"final_{split}_loss" for split in ("train", "validation", "test")], 0.2 * half[name])
        others = {"initial_train_loss": 2.0, "smoothed_train_loss": 0.2, "hyper_parameters": "{}", "diverged": False}
        runs.append(key | trained | losses | others | {"area_under_log_curve": 0.0, "chosen": True})
        curves += [key | trained | {"step": s, "loss": half[name], "smoothed": half[name] / s} for s in (1, 2, 3)]
        ratios = {"log_ratio": 0.5 if name == "learned" else 0.0, "log_ratio_validation": 0.0}
        reached = {"speed_up": 1.0, "area_under_log_curve": 0.0, "target": 0.3, "steps_to_target": 50.0}
        scores.append(key | ratios | reached)
    for steps, (place, name), tau in itertools.product((100, 200), enumerate(half), (1.0, 2.0)):
        profiles.append({"num_steps": steps, "optimizer": name, "tau": tau, "fraction": 1.0 - place * (2 - tau)})
    for task, name in itertools.product("ab", half):
        numbers = {column: 1 for column, kind in SCHEMAS["costs"].items() if kind != "string"}
        costs.append({"task": task, "optimizer": name, **numbers})
    tables = {"runs": runs, "curves": curves, "scores": scores, "profiles": profiles, "costs": costs}
    for table, rows in tables.items():
        write_suite_table(directory, table, pd.DataFrame(rows))

    def interval(mean, spread=0.1):
        return {"mean": mean, "low": mean - spread, "high": mean + spread}

    def scored(name):
        mean = 0.5 if name == "learned" else 0.0
        numbers = {score: interval(mean) for score in ("log_ratio", "log_ratio_validation")}
        return numbers | {"speed_up": None} | {"profile_score": 0.5, "tasks_better": 2 if mean else 0, "num_tasks": 2}

    def ended(name):
        loss = {"mean": 0.2 * half[name], "low": 0.1 * half[name], "high": 0.4 * half[name]}
        return {"final_train_loss": loss, "log_ratio": interval(0.5), "learning_rate_at_grid_edge": True}

    summary = {
        "status": "finished",
        "reference": "adamw",
        "horizons": {str(steps): {name: scored(name) for name in half} for steps in (100, 200)},
        "tasks": {task: {str(steps): {name: ended(name) for name in half} for steps in (100, 200)} for task in "ab"},
        "costs": {name: {"flops_per_step": 2.0, "bytes_per_lifetime": 1.5} for name in half},
        "identity": {"artifact": "quickstart", "theta_sha256": "0" * 64, "config": {"tasks": ["a", "b"]}},
    }
    (directory / "suite.json").write_text(json.dumps(summary))
    return directory


def make_sweep(directory: Path, error="theta is not finite", choices=("PersistentES", "FullES")):
    """Two learning rates and two estimators, two seeds of each: seven have finished, the last one failed."""
    directory.mkdir(parents=True)
    fields = ["outer.optimizer.learning_rate", "outer.estimator"]
    trials = []
    for i in range(8):
        point, seed = divmod(i, 2)
        failed, metric = i == 7, 0.1 * (i + 1)
        name = f"{point:03}-seed{seed}"
        make_run(
            directory / "trials" / name,
            losses=(2.0,) if failed else (2.0, 1.0, metric),
            status=None if failed else "finished",
            seed=seed,
            artifact=False,
        )
        values = {fields[0]: (0.001, 0.1)[point % 2], fields[1]: choices[point // 2]}
        ended = {"status": "failed", "error": error} if failed else {"status": "finished", "metric": metric}
        trials.append(TrialRecord(name, point, seed, values, **ended, outer_steps=30, attempts=1, seconds=9.0))
    metric = {"name": "meta_loss", "goal": "minimize", "source": "metrics", "tail": 0.1}
    importance = {fields[0]: 0.75, fields[1]: 0.25}
    write_table(directory, SweepTable("learned_optimizers/quickstart", metric, fields, 8, trials, importance))
    (directory / "sweep.yaml").write_text("base: learned_optimizers/quickstart\nseeds: [0, 1]\n")
    return directory
