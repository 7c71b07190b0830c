"""Twelve trials on a Ray cluster that loses a node, and by submitit, preempted; Optuna, pruned; GPUs."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from heurax.config import read_config
from heurax.sweeps import Local, Slurm, SweepConfig
from heurax.sweeps.launchers.local import slot_environment

RATE = "outer.optimizer.learning_rate"
GRID = {"space": {RATE: [0.001, 0.003, 0.01, 0.03]}}
SEEDS = [0, 1, 2]

CLUSTER = """\
import sys
import ray.cluster_utils
cluster = ray.cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
node = cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(node, allow_graceful=False)
print("removed", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""


def table(directory):
    if not (directory / "sweep.json").exists():
        return {}
    return {trial["name"]: trial for trial in json.loads((directory / "sweep.json").read_text())["trials"]}


def count(directory, status):
    return sum(trial["status"] == status for trial in table(directory).values())


def records(directory, name):
    path = directory / "trials" / name / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def wait_until(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)


def thetas(directory):
    paths = (directory / "trials").glob("*/artifact/theta.safetensors")
    return {path.parent.parent.name: path.read_bytes() for path in paths}


@pytest.fixture
def cluster():
    """A real Ray cluster of two nodes of one core each: its address, and what kills the second node."""
    pytest.importorskip("ray")
    environment = os.environ | {"RAY_DEDUP_LOGS": "0", "JAX_PLATFORMS": "cpu"}
    process = subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, "the cluster did not start"

    def lose_a_node():
        process.stdin.write("\n")
        process.stdin.flush()
        while process.stdout.readline().strip() != "removed":
            pass

    yield address, lose_a_node
    process.communicate("\n\n", timeout=120)


@pytest.mark.slow
def test_ray_loses_a_node(sweep_path, cluster, heurax_command, tmp_path):
    """All trials end, none is lost; those that were on the node resume on the other from their checkpoints."""
    address, lose_a_node = cluster
    out = tmp_path / "out"
    path = sweep_path("Grid", GRID, seeds=SEEDS)
    process = heurax_command("sweep", path, "--out", out, "--launcher", "Ray", "--launcher.address", address)
    wait_until(lambda: count(out, "finished") >= 3 and count(out, "running") >= 2, process)
    running = [name for name, trial in table(out).items() if trial["status"] == "running"]
    wait_until(lambda: all(records(out, name) > 6 or name in thetas(out) for name in running), process)
    lose_a_node()
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "12 trials: 12 finished" in output
    assert all(trial["status"] == "finished" for trial in table(out).values())
    assert len(thetas(out)) == 12


@pytest.mark.slow
def test_submitit_preempts(sweep_path, heurax_command, tmp_path):
    """Submitit's local executor; one job gets its preemption signal, saves, is put back and resumes."""
    out = tmp_path / "out"
    launcher = {"class_path": "Slurm", "init_args": {"executor": "local", "jobs": 2, "timeout_min": 30}}
    path = sweep_path("Grid", GRID, seeds=SEEDS, launcher=launcher)
    process = heurax_command("sweep", path, "--out", out)
    wait_until(lambda: count(out, "finished") >= 2 and count(out, "running") >= 1, process)
    preempted = next(name for name, trial in table(out).items() if trial["status"] == "running")
    wait_until(lambda: records(out, preempted) > 6, process)
    jobs = json.loads((out / "submitit" / "jobs.json").read_text())
    controller = psutil.Process(int(jobs[preempted]))
    [task] = controller.children()
    task.send_signal(signal.SIGUSR2)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "12 trials: 12 finished" in output
    assert len(thetas(out)) == 12
    log = (out / "submitit" / f"{jobs[preempted]}_0_log.err").read_text()
    assert "Requeued job" in log or "this job is preempted" in log, log


@pytest.mark.slow
def test_optuna_prunes_trials(sweep_path, heurax_run, tmp_path):
    """A pruned trial is stopped, keeps the metric it had, and Optuna knows; the rest finish."""
    ranges = {"class_path": "Choice", "init_args": {"values": [0.03, 1e-6]}}
    search = {
        "space": {RATE: ranges},
        "num_points": 3,
        "first": [{RATE: 0.03}, {RATE: 0.03}, {RATE: 1e-6}],
        "pruner": "MedianPruner",
        "pruner_options": {"n_startup_trials": 2, "n_warmup_steps": 100},
    }
    launcher = {"class_path": "Local", "init_args": {"processes": 1}}
    path = sweep_path("Optuna", search, launcher=launcher, overrides={"outer.num_steps": 4000})
    code, output, errors = heurax_run("sweep", path, "--out", tmp_path / "out")
    assert code == 0, errors
    found = table(tmp_path / "out")
    assert [trial["status"] for trial in found.values()] == ["finished", "finished", "pruned"]
    assert 100 <= found["002"]["outer_steps"] < 4000
    assert found["002"]["metric"] > found["000"]["metric"]
    assert "3 trials: 2 finished, 1 pruned; best 000" in output
    import optuna

    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path / 'out' / 'optuna.db'}")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "PRUNED"]


def test_gpus_and_their_memory_are_shared_out(tmp_path, monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    environments = [slot_environment(slot, 3, ["0", "3"], tmp_path) for slot in range(3)]
    assert [e["CUDA_VISIBLE_DEVICES"] for e in environments] == ["0", "3", "0"]
    assert [e.get("XLA_PYTHON_CLIENT_MEM_FRACTION") for e in environments] == ["0.450", None, "0.450"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert Local().open(tmp_path).slots == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert Local().open(tmp_path).slots == len(os.sched_getaffinity(0))
    assert Local(together=4).open(tmp_path).slots == 1


def test_pruners_need_trials_of_their_own(sweep_path):
    from heurax.errors import HeuraxError

    search = {"space": {RATE: {"class_path": "Uniform", "init_args": {"low": 0.1, "high": 0.2}}}}
    path = sweep_path("Optuna", search | {"pruner": "MedianPruner"})
    with pytest.raises(HeuraxError, match="trials that run together cannot be pruned"):
        read_config(SweepConfig, path, ["--launcher", "Local", "--launcher.together", "2"])
    assert Slurm().restarts == 3
