"""Two processes with two virtual devices each are one process with four; one that is left alone says so and ends."""

import os
import signal
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


def theta(run_dir):
    return safetensors.numpy.load_file(run_dir / "artifact" / "theta.safetensors")


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
    assert heurax_run("train", config_path, "--run_dir", alone, "--cpu_devices", "4")[0] == 0

    processes = start_pair(heurax_command, monkeypatch, config_path, "--run_dir", pair)
    wait_for_checkpoint(pair, processes, 20)
    processes[victim].kill()
    started = time.monotonic()
    _, errors = processes[1 - victim].communicate(timeout=120)
    assert time.monotonic() - started < 60
    assert processes[1 - victim].returncode not in (0, None)
    assert "another process of this run has ended" in errors or "distributed service detected fatal errors" in errors
    processes[victim].communicate()

    for _ in range(2):  # killed together, then left to finish
        processes = start_pair(heurax_command, monkeypatch, config_path, "--run_dir", pair)
        if _ == 0:
            wait_for_checkpoint(pair, processes, 100)
            for process in processes:
                os.kill(process.pid, signal.SIGKILL)
        results = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert "resuming" in results[0][1]
    assert results[1][1].count("outer step") == 0, "only the first process shows progress"
    for name, array in theta(alone).items():
        np.testing.assert_allclose(theta(pair)[name], array, rtol=1e-5, atol=1e-6)


def test_incomplete_variables(config_path, heurax_run, monkeypatch):
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    code, _, errors = heurax_run("train", config_path)
    assert code == 2
    assert "JAX_NUM_PROCESSES is set, so JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID must be set as well" in errors
