"""Trackers hold the same numbers: JSON lines, TensorBoard, Weights & Biases and MLflow, read back from their files."""

import contextlib
import json
import math
import re
import sqlite3
import struct
import sys

import jax
import numpy as np
import pytest

from heurax.config import read_config
from heurax.errors import HeuraxError
from heurax.runs import MLflow, TrainConfig, train

SMALL = """\
# A small run.
inner: {class_path: InfluenceBalancing}
outer:
  class_path: Descent
  init_args:
    estimator: {class_path: PersistentES, init_args: {num_tasks: 2, window: 5, sigma: 0.1}}
    optimizer: {warmup_steps: 5}
    num_steps: 100
steps_per_dispatch: 10
checkpoint_every: 50
track:
- class_path: WandB
  init_args: {project: heurax-tests, mode: offline, tags: [small]}
- class_path: MLflow
  init_args: {experiment: heurax-tests, tags: {size: small}}
"""

# MLflow's models ask SQLAlchemy 2.1 for something that it has deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def tensorboard_scalars(directory):
    """(step, name) -> float32, of TFRecord files: length, its checksum, an event, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(directory.iterdir()):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            at += length + 16
            for value in event.summary.value:
                found[event.step, value.tag] = np.float32(value.simple_value)
    return found


def wandb_records(directory):
    """Records of a .wandb file: LevelDB's log format (blocks of 32 KiB, seven bytes before each piece of a record)."""
    from wandb.proto.wandb_internal_pb2 import Record

    [path] = directory.glob("wandb/offline-run-*/run-*.wandb")
    data, at, block, record, records = path.read_bytes(), 7, 32768, b"", []
    while at < len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        record += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or its last piece
            records.append(Record.FromString(record))
            record = b""
    return records


def mlflow_rows(run_dir, query):
    with contextlib.closing(sqlite3.connect(run_dir / "mlflow" / "mlflow.db")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.slow
def test_all_trackers_hold_the_same_numbers(config_path, tmp_path):
    config, text = read_config(TrainConfig, config_path)
    run_dir = tmp_path / "run"
    with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
        train(config, run_dir, text)
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(10, 110, 10))
    numbers = {(line["step"], name): value for line in lines for name, value in line.items() if name != "step"}
    assert {name for _, name in numbers} >= {"meta_loss", "gradient_norm", "theta_norm", "outer_steps_per_second"}
    assert all(math.isfinite(value) for value in numbers.values())

    assert tensorboard_scalars(run_dir / "tensorboard") == {key: np.float32(v) for key, v in numbers.items()}

    records = wandb_records(run_dir)
    logged = {}
    for record in records:
        if record.HasField("history"):
            items = {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            step = record.history.step.num
            logged |= {(step, name): value for name, value in items.items() if not name.startswith("_")}
    assert logged == numbers
    [run] = [record.run for record in records if record.HasField("run")][:1]
    assert (run.project, run.display_name, list(run.tags)) == ("heurax-tests", "run", ["small"])
    assert run.run_id == (run_dir / "wandb" / "run_id").read_text()

    points = mlflow_rows(run_dir, "select step, key, value from metrics")
    assert len(points) == len(numbers)
    assert {(step, name): value for step, name, value in points} == numbers
    [(experiment, name, status)] = mlflow_rows(
        run_dir, "select e.name, r.name, status from runs r join experiments e using (experiment_id)"
    )
    assert (experiment, name, status) == ("heurax-tests", "run", "FINISHED")
    params = dict(mlflow_rows(run_dir, "select key, value from params"))
    assert (params["seed"], params["outer.init_args.estimator.init_args.sigma"]) == ("0", "0.1")
    assert ("size", "small") in mlflow_rows(run_dir, "select key, value from tags")


def test_mlflow_goes_on_in_the_same_run(tmp_path):
    """Killed at step 50 in the middle of a record, resumed from the checkpoint at 30: no point is there twice."""
    tracker = MLflow().open(tmp_path, "seed: 0", 0)
    for step in range(10, 50, 10):
        tracker.log(step, {"a": float(step), "b/c": math.nan if step == 20 else -float(step)})
    tracker.log(50, {"a": 50.0})
    tracker = MLflow().open(tmp_path, "seed: 0", 30)
    for step in range(40, 80, 10):
        tracker.log(step, {"a": float(step), "b/c": -float(step)})
    tracker.close()
    points = mlflow_rows(tmp_path, "select step, key, value from metrics where not is_nan order by key, step")
    expected = [(step, "a", float(step)) for step in range(10, 80, 10)]
    expected += [(step, "b/c", -float(step)) for step in range(10, 80, 10) if step != 20]
    assert points == expected
    assert mlflow_rows(tmp_path, "select step from metrics where is_nan") == [(20,)]
    assert mlflow_rows(tmp_path, "select status from runs") == [("FINISHED",)]


def test_a_store_that_mlflow_refuses(tmp_path):
    (tmp_path / "file").touch()
    for uri in (f"sqlite:///{tmp_path}/file/mlflow.db", "carrier-pigeon://here"):
        with pytest.raises(HeuraxError, match=r"^MLflow cannot be used: [^\n]*$"):
            MLflow(uri=uri).open(tmp_path, "seed: 0", 0)


def test_packages_that_are_not_there(config_path, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    config, text = read_config(TrainConfig, config_path)
    with pytest.raises(HeuraxError, match=re.escape("tracking by WandB needs the package wandb: pip install")):
        config.track[0].open(tmp_path, text, 0)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(HeuraxError, match=re.escape("tracking by MLflow needs the package mlflow: pip install")):
        config.track[1].open(tmp_path, text, 0)
    config_path.write_text(SMALL.replace("WandB", "WandBB"))
    with pytest.raises(HeuraxError, match=re.escape("did you mean 'WandB'?")):
        read_config(TrainConfig, config_path)
