"""What a sweep optimises, what became of a trial, and which fields matter: from files as runs leave them."""

import json
import math
import signal

import numpy as np
import pytest

from heurax.errors import HeuraxError
from heurax.sweeps import Metric, SweepTable, TrialRecord, importance, read_metric
from heurax.sweeps.launchers import Exit
from heurax.sweeps.outcome import judge


@pytest.fixture
def run_dir(tmp_path):
    """A finished run of 100 outer steps, ten records, the loss of one of them not finite."""
    records = [{"step": 10 * i, "meta_loss": 1 / i if i != 5 else None, "x": float(i)} for i in range(1, 11)]
    half = '{"step": 110, "meta'
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records) + half)
    (tmp_path / "summary.json").write_text('{"status": "finished", "outer_steps": 100, "run_seconds": 2.5}')
    return tmp_path


def test_metrics_of_a_run(run_dir):
    assert read_metric(run_dir, Metric()) == 1 / 10
    assert read_metric(run_dir, Metric(tail=0.3)) == pytest.approx(np.mean([1 / 8, 1 / 9, 1 / 10]))
    assert read_metric(run_dir, Metric(tail=1.0)) == math.inf
    assert read_metric(run_dir, Metric(tail=1.0, goal="maximize")) == -math.inf
    assert read_metric(run_dir, Metric("x", tail=0.2)) == 9.5
    assert read_metric(run_dir, Metric("run_seconds", source="summary")) == 2.5
    with pytest.raises(HeuraxError, match=r"metrics.jsonl has no 'meta_los'; did you mean 'meta_loss'\?"):
        read_metric(run_dir, Metric("meta_los"))
    with pytest.raises(HeuraxError, match=r"summary.json has no number 'status'"):
        read_metric(run_dir, Metric("status", source="summary"))


def test_what_became_of_a_trial(run_dir):
    def judged(end, **options):
        found = judge(run_dir, end, Metric(), **options)
        return found["status"], found["error"]

    assert judged(Exit(0)) == ("finished", None)
    assert judged(None) == ("finished", None), "by a process that outlived its sweep"
    (run_dir / "summary.json").unlink()
    assert judged(None) == ("stopped", None)
    for code in (128 + signal.SIGTERM, 128 + signal.SIGUSR2, -signal.SIGTERM):
        assert judged(Exit(code)) == ("stopped", None)
    assert judged(Exit(143), pruned=True) == ("pruned", None)
    assert judge(run_dir, Exit(143), Metric(), pruned=True)["metric"] == 1 / 10
    log = run_dir / "log.txt"
    log.write_text("heurax: error: of an earlier process\n")
    start = log.stat().st_size
    assert judged(Exit(-9), log_start=start) == ("failed", f"its process was killed by SIGKILL; see {log}")
    assert judged(Exit(1), log_start=start) == ("failed", f"its process ended with exit code 1; see {log}")
    assert judged(Exit(1, "its node is gone"), log_start=start) == ("failed", f"its node is gone; see {log}")
    with log.open("a") as file:
        file.write("Traceback\nZeroDivisionError: division by zero\n")
    assert judged(Exit(1), log_start=start) == ("failed", f"ZeroDivisionError: division by zero; see {log}")
    with log.open("a") as file:
        file.write("heurax: error: theta is not finite\n")
    assert judged(Exit(2), log_start=start) == ("failed", "theta is not finite")


def test_importance_finds_the_field_that_matters():
    """By the definition of functional ANOVA, a field without any influence has no share."""
    generator = np.random.default_rng(0)
    trials = []
    for i in range(40):
        values = {"rate": float(10 ** generator.uniform(-4, -1)), "name": str(generator.choice(["a", "b"])), "c": 1}
        metric = (math.log10(values["rate"]) + 2.5) ** 2
        trials += [TrialRecord(f"{i}-{seed}", i, seed, values, "finished", metric + seed) for seed in (0, 1)]
    trials.append(TrialRecord("failed", 40, 0, {"rate": 0.5, "name": "a", "c": 1}, "failed"))
    metric = {"name": "meta_loss", "goal": "minimize"}
    found = importance(SweepTable("base", metric, ["rate", "name", "c"], 82, trials))
    assert found is not None
    assert list(found) == ["rate", "name", "c"]
    assert found["rate"] > 0.9
    assert found["c"] == 0
    assert sum(found.values()) == pytest.approx(1)
    assert importance(SweepTable("base", metric, ["rate"], 3, trials[:6])) is None, "too few points"
