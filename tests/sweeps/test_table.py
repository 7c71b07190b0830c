"""The table of a sweep: what is written is what is read, and a damaged one is refused in a sentence."""

import csv
import json
import math
import re

import pytest

from heurax.errors import HeuraxError
from heurax.sweeps import SweepTable, TrialRecord, read_table, write_table

FIELDS = ["outer.estimator.sigma", "inner.task.width"]
TABLE = SweepTable(
    base="learned_optimizers/quickstart",
    metric={"name": "meta_loss", "goal": "minimize", "source": "metrics", "tail": 0.1},
    fields=FIELDS,
    num_trials=3,
    trials=[
        TrialRecord("000", 0, 0, {FIELDS[0]: 0.1, FIELDS[1]: [16, 32]}, "finished", 0.25, 400, 1, 3.5),
        TrialRecord("001", 1, 0, {FIELDS[0]: 0.2, FIELDS[1]: [8, 8]}, "failed", error='it said "no", twice'),
    ],
    importance={FIELDS[0]: 0.75, FIELDS[1]: 0.25},
)


def test_round_trip(tmp_path):
    write_table(tmp_path, TABLE)
    assert read_table(tmp_path) == TABLE
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["finished", "failed"]
    assert rows[0]["metric"] == "0.25"
    assert json.loads(rows[0][FIELDS[1]]) == [16, 32]
    assert rows[1]["error"] == 'it said "no", twice'
    assert rows[1]["metric"] == ""


def test_metrics_that_are_not_finite_are_null(tmp_path):
    write_table(tmp_path, SweepTable("a", {}, [], 1, [TrialRecord("000", 0, 0, {"a": math.nan}, "finished", math.inf)]))
    [trial] = json.loads((tmp_path / "sweep.json").read_text())["trials"]
    assert trial["metric"] is None
    assert trial["values"] == {"a": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no sweep at"),
        ("{", "cannot be read"),
        ('{"schema": 2}', "has schema 2; this version of heurax reads 1"),
        ('{"schema": 1, "trials": [{"nam": 1}]}', "cannot be read"),
    ],
)
def test_what_is_no_table_is_refused(text, message, tmp_path):
    if text is not None:
        (tmp_path / "sweep.json").write_text(text)
    with pytest.raises(HeuraxError, match=re.escape(message)):
        read_table(tmp_path)
