"""Runs survive: SIGKILL at any moment, SIGTERM, Ctrl-C."""

import json
import random
import signal
import time

import numpy as np
import pytest
import safetensors.numpy


def theta_bytes(run_dir):
    return (run_dir / "artifact" / "theta.safetensors").read_bytes()


def records(run_dir):
    """Logged records without their timings."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "outer_steps_per_second"} for line in lines]


def wait_for_records(run_dir, process, count):
    """Wait until a running process has logged some records; False if it ended first."""
    path = run_dir / "metrics.jsonl"
    while process.poll() is None:
        if path.exists() and path.read_text().count("\n") >= count:
            return True
        time.sleep(0.005)
    return False


@pytest.mark.slow
def test_killed_five_times_theta_is_bit_identical(config_path, heurax_command, heurax_run, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert heurax_run("train", config_path, "--run_dir", whole)[0] == 0
    moments = random.Random(0)
    done = 0
    for _ in range(5):
        process = heurax_command("train", config_path, "--run_dir", killed)
        done += moments.randint(1, 20)
        assert wait_for_records(killed, process, done), "the run ended before it could be killed"
        time.sleep(moments.random() * 0.05)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        steps = [int(p.name) for p in (killed / "checkpoints").iterdir() if p.name.isdigit()]
        done = max(steps, default=0) // 5
    assert 0 < done < 120
    code, _, errors = heurax_run("train", config_path, "--run_dir", killed)
    assert code == 0, errors
    assert f"resuming {killed} at outer step {done * 5}" in errors
    assert theta_bytes(killed) == theta_bytes(whole)
    assert records(killed) == records(whole)
    assert json.loads((killed / "summary.json").read_text())["status"] == "finished"


STREAMED = """\
inner:
  class_path: SupervisedTraining
  init_args:
    rule: {class_path: LearnableSGD}
    task:
      class_path: SoftmaxRegression
      init_args:
        dataset:
          class_path: Stream
          init_args: {source: {class_path: NumpyFiles, init_args: {folder: FOLDER}}, chunk_size: 16}
        batch_size: 4
    num_steps: 20
outer:
  class_path: Mixture
  init_args:
    families:
    - {name: streamed}
    - name: short
      inner:
        class_path: SupervisedTraining
        init_args: {task: {class_path: Quadratic, init_args: {dimension: 2}}, num_steps: 10}
    turn_length: 5
    estimator: {class_path: PersistentES, init_args: {num_tasks: 4, window: 5}}
    optimizer: {warmup_steps: 5}
    num_steps: 3000
steps_per_dispatch: 10
checkpoint_every: 50
"""


@pytest.mark.slow
def test_killed_amid_a_stream_theta_is_bit_identical(heurax_command, heurax_run, tmp_path):
    """A mixture, of which one family streams: 300 chunks of 16 of 200 examples, killed twice."""
    generator = np.random.default_rng(0)
    np.save(tmp_path / "train_inputs.npy", generator.normal(size=(200, 3)).astype(np.float32))
    np.save(tmp_path / "train_labels.npy", generator.integers(0, 2, 200))
    path = tmp_path / "streamed.yaml"
    path.write_text(STREAMED.replace("FOLDER", str(tmp_path)))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    code, _, errors = heurax_run("train", path, "--run_dir", whole)
    assert code == 0, errors
    done = 0
    for _ in range(2):
        process = heurax_command("train", path, "--run_dir", killed)
        assert wait_for_records(killed, process, done + 40), "the run ended before it could be killed"
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        done = max(int(p.name) for p in (killed / "checkpoints").iterdir() if p.name.isdigit()) // 10
    assert 0 < done < 300
    code, _, errors = heurax_run("train", path, "--run_dir", killed)
    assert code == 0, errors
    assert f"resuming {killed} at outer step {done * 10}" in errors
    assert theta_bytes(killed) == theta_bytes(whole)
    assert records(killed) == records(whole)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_stops_cleanly_and_resumes(number, config_path, heurax_command, heurax_run, tmp_path):
    run_dir = tmp_path / "run"
    process = heurax_command("train", config_path, "--run_dir", run_dir)
    assert wait_for_records(run_dir, process, 7)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number, errors
    assert f"stopped by {number.name} after outer step" in errors
    summary = json.loads((run_dir / "summary.json").read_text())
    assert summary["status"] == "stopped"
    assert summary["memory_bytes_per_device"] > 1000
    assert (run_dir / "checkpoints" / str(summary["outer_steps"])).is_dir()
    assert safetensors.numpy.load(theta_bytes(run_dir)).keys()

    assert heurax_run("train", config_path, "--run_dir", run_dir)[0] == 0
    whole = tmp_path / "whole"
    assert heurax_run("train", config_path, "--run_dir", whole)[0] == 0
    assert theta_bytes(run_dir) == theta_bytes(whole)
    assert records(run_dir) == records(whole)
