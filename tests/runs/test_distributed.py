"""Two processes with two virtual devices each are one process with four; one that is left alone says so and ends."""

import socket
import time

import numpy as np
import pytest
import safetensors.numpy

pytestmark = pytest.mark.slow


def start_pair(heurax_command, monkeypatch, *arguments):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", f"127.0.0.1:{port}")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    processes = []
    for index in range(2):
        monkeypatch.setenv("JAX_PROCESS_ID", str(index))
        processes.append(heurax_command("train", *arguments, "--cpu_devices", "2"))
    for name in ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"):
        monkeypatch.delenv(name)
    return processes


def flat_theta(run_dir):
    arrays = safetensors.numpy.load_file(run_dir / "artifact" / "theta.safetensors")
    return np.concatenate([np.ravel(arrays[name]) for name in sorted(arrays)])


def wait_for_checkpoint(run_dir, processes, step):
    while all(process.poll() is None for process in processes):
        if (run_dir / "checkpoints" / str(step) / "commit_success.txt").exists():
            return
        time.sleep(0.01)
    pytest.fail("\n".join(process.communicate()[1] for process in processes))


@pytest.mark.parametrize("victim", [1, 0])
def test_killed_together_and_apart_two_processes_equal_one(
    victim, config_path, heurax_command, heurax_run, monkeypatch, tmp_path
):
    pair, alone = tmp_path / "pair", tmp_path / "alone"
    run = [config_path, "--outer.num_steps", "200", "--run_dir"]
    assert heurax_run("train", *run, alone, "--cpu_devices", "4")[0] == 0

    processes = start_pair(heurax_command, monkeypatch, *run, pair)
    wait_for_checkpoint(pair, processes, 20)
    processes[victim].kill()
    started = time.monotonic()
    _, errors = processes[1 - victim].communicate(timeout=120)
    assert time.monotonic() - started < 60
    assert processes[1 - victim].returncode == 2, errors
    assert "heurax: error: another process of this run has ended" in errors
    processes[victim].communicate()

    processes = start_pair(heurax_command, monkeypatch, *run, pair)
    wait_for_checkpoint(pair, processes, 100)
    for process in processes:
        process.kill()
        process.communicate()

    processes = start_pair(heurax_command, monkeypatch, *run, pair)
    results = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert "resuming" in results[0][1]
    assert "outer step" not in results[1][1], "only the first process shows progress"
    ours, theirs = flat_theta(pair), flat_theta(alone)
    assert np.linalg.norm(ours - theirs) <= 1e-5 * np.linalg.norm(theirs)


def test_incomplete_variables(config_path, heurax_run, monkeypatch):
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    code, _, errors = heurax_run("train", config_path)
    assert code == 2
    assert "JAX_NUM_PROCESSES is set, so JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID must be set as well" in errors
