"""Bad input: one sentence, exit code 2, no traceback, nothing overwritten."""

import errno
import shutil
import subprocess

import jax.numpy as jnp
import pytest

from heurax.errors import HeuraxError
from heurax.runs.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

BAD_FIELDS = [
    (["--outer.estimator.sigmaa", "0.5"], "unknown field outer.estimator.sigmaa; did you mean 'sigma'?"),
    (["--seeed", "3"], "unknown field seeed; did you mean 'seed'?"),
    (["--outer.estimator.sigma", "hello"], "outer.estimator.sigma must be float, got hello"),
    (["--outer.estimator.window", "30"], "window must be between 1 and the horizon, inner.num_steps = 20; got 30"),
    (["--steps_per_dispatch", "7"], "steps_per_dispatch must divide outer.num_steps = 600, got 7"),
    (["--outer.estimator", "PersistantES"], "names an unknown class 'PersistantES'; did you mean 'PersistentES'?"),
    (["--inner.num_steps", "0"], "SupervisedTraining: num_steps must be >= 1, got 0"),
]


def assert_refused(result, message):
    code, output, errors = result
    assert code == 2, errors
    assert output == ""
    assert "Traceback" not in errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("heurax: error: ")
    assert message in last


def snapshot(directory):
    return {p.relative_to(directory): p.read_bytes() for p in directory.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.mark.parametrize(("overrides", "message"), BAD_FIELDS, ids=lambda x: x[0] if isinstance(x, list) else "")
def test_bad_fields(overrides, message, config_path, heurax_run, tmp_path):
    assert_refused(heurax_run("train", config_path, "--run_dir", tmp_path / "run", *overrides), message)
    assert not (tmp_path / "run").exists()


def test_bad_files(config_path, heurax_run, tmp_path):
    config_path.write_text("inner: [")
    assert_refused(heurax_run("train", config_path), "the config is not valid YAML")
    assert_refused(heurax_run("train", "learned_optimizers/quikstart"), "did you mean 'learned_optimizers/quickstart'?")
    assert_refused(heurax_run("evaluate", tmp_path), "there is no artifact at")
    assert_refused(heurax_run("export", tmp_path, tmp_path / "out"), "there is no run at")
    assert_refused(heurax_run("list", "nothing"), "nothing is called 'nothing'")


def test_a_run_directory_is_never_taken_over(config_path, heurax_run, tmp_path):
    run = tmp_path / "run"
    small = ["--outer.num_steps", "40"]
    assert heurax_run("train", config_path, "--run_dir", run, *small)[0] == 0
    before = snapshot(run)
    train = ["train", config_path, "--run_dir", run]
    assert_refused(heurax_run(*train, *small, "--seed", "1"), "belongs to another config: seed is 0 there and 1 here")
    assert_refused(heurax_run(*train), "outer.num_steps is 40 there and 600 here")
    assert_refused(heurax_run("export", run, run / "artifact"), "exists already; give a path that does not")
    assert snapshot(run) == before
    assert heurax_run(*train, *small)[0] == 0, "a finished run can be asked for again"
    assert snapshot(run) == before
    assert heurax_run("export", run, tmp_path / "exported")[0] == 0
    theta = (tmp_path / "exported" / "theta.safetensors").read_bytes()
    assert theta == (run / "artifact" / "theta.safetensors").read_bytes()

    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    (damaged / "summary.json").unlink()
    for file in (damaged / "checkpoints" / "40" / "state" / "d").iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    before = snapshot(damaged)
    message = f"checkpoint {damaged / 'checkpoints' / '40'} is damaged"
    result = heurax_run("train", config_path, "--run_dir", damaged, *small)
    assert_refused(result, message)
    assert "delete it to resume from step 20" in result[2]
    assert snapshot(damaged) == before

    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("irreplaceable")
    assert_refused(heurax_run("train", config_path, "--run_dir", stranger), "is not a run directory: it has thesis.txt")
    assert snapshot(stranger).keys() == {(stranger / "thesis.txt").relative_to(stranger)}


def test_unwritable_directory(config_path, heurax_run):
    assert_refused(heurax_run("train", config_path, "--run_dir", "/proc/heurax"), "cannot write /proc/heurax")


def test_diverging_run_keeps_its_last_good_checkpoint(config_path, heurax_run, tmp_path):
    arguments = ["--outer.optimizer.name", "sgd", "--outer.optimizer.learning_rate", "1e38"]
    arguments += ["--outer.optimizer.clip_norm", ".inf", "--outer.optimizer.warmup_steps", "0"]
    result = heurax_run("train", config_path, "--run_dir", tmp_path / "run", *arguments)
    assert_refused(result, "meta-training diverged by outer step")


def test_full_disk(config_path, heurax_run, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        result = heurax_run("train", config_path, "--run_dir", disk / "run")
        assert_refused(result, "o space left on device")
        assert "Traceback" not in result[2]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


FULL_DISK = {
    "wait_until_finished": OSError(errno.ENOSPC, "No space left on device"),
    "close": ValueError("RESOURCE_EXHAUSTED: No space left on device [os_error_code='28']"),
}
"""What orbax raises, by the method of its manager."""


@pytest.mark.parametrize("method", FULL_DISK)
def test_a_failed_checkpoint_is_told_on_closing(method, monkeypatch, tmp_path):
    def fail():
        raise FULL_DISK[method]

    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(20, {"theta": jnp.zeros(3)})
    checkpoints.restore(20, {"theta": jnp.zeros(3)})  # waits
    monkeypatch.setattr(checkpoints._manager, method, fail)
    with pytest.raises(HeuraxError, match="no space left on device; the latest complete one is step 20"):
        checkpoints.close()
