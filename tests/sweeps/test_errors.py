"""Bad input to sweeps: one sentence, exit code 2, nothing started, nothing lost."""

import itertools
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from heurax.cli import main
from heurax.errors import HeuraxError
from heurax.inner import SupervisedTraining
from heurax.outer import Family, Mixture
from heurax.rules import LearnableSGD
from heurax.runs import TrainConfig
from heurax.sweeps.together import train_together
from heurax.tasks import NumpyFiles, Quadratic, SoftmaxRegression, Stream

RATE = "outer.optimizer.learning_rate"
GRID = {"space": {RATE: [0.001, 0.01]}}


@pytest.fixture
def assert_refused(capsys, tmp_path):
    """Runs `heurax sweep` in this process: it must refuse in one sentence, and leave nothing behind."""

    numbers = itertools.count()

    def check(message, path, *arguments, leaves=False):
        out = tmp_path / f"out{next(numbers)}"
        assert main(["sweep", str(path), "--out", str(out), *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("heurax: error: ")
        assert len(captured.err.strip().splitlines()) == 1
        assert message in captured.err
        assert leaves or not out.exists()

    return check


BAD = {
    "unknown_field": ("Grid", {"space": {"outer.estimator.sigmaa": [0.1]}}, "did you mean 'sigma'?"),
    "unknown_field_of_a_range": (
        "Random",
        {"space": {"outer.optimiser.learning_rate": {"class_path": "Uniform", "init_args": {"low": 0, "high": 1}}}},
        "unknown field outer.optimiser.learning_rate",
    ),
    "unknown_field_for_optuna": (
        "Optuna",
        {"space": {"outer.estimator.windo": {"class_path": "Choice", "init_args": {"values": [5, 10]}}}},
        "did you mean 'window'?",
    ),
    "end_of_a_range": (
        "Optuna",
        {"space": {"outer.estimator.window": {"class_path": "Integer", "init_args": {"low": 5, "high": 500}}}},
        "window must be between 1 and the horizon, inner.num_steps = 200; got 500",
    ),
    "wrong_type": ("Grid", {"space": {RATE: ["fast"]}}, f"{RATE} must be float, got fast"),
    "one_name_twice": (
        "Listed",
        {"trials": [{"name": "a", "values": {RATE: 0.1}}, {"name": "a", "values": {RATE: 0.2}}]},
        "2 trials are called 'a'; names and seeds must differ",
    ),
    "a_name_that_is_a_path": (
        "Listed",
        {"trials": [{"name": "../a", "values": {}}]},
        "'../a' cannot be a trial's name",
    ),
    "an_empty_range": (
        "Random",
        {"space": {RATE: {"class_path": "LogUniform", "init_args": {"low": 0.1, "high": 0.01}}}},
        "low and high must be 0 < low < high, got 0.1 and 0.01",
    ),
    "unknown_search": ("Grit", {"space": {}}, "search names an unknown class 'Grit'; did you mean 'Grid'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_searches_that_do_not_fit(case, sweep_path, assert_refused):
    search, fields, message = BAD[case]
    assert_refused(message, sweep_path(search, fields))


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"seeds": [1, 1]}, "2 trials are called '000-seed1'"),
        ({"seeds": []}, "seeds must not be empty"),
        ({"overrides": {"seed": 1}}, "seed must be given by seeds"),
        ({"overrides": {"outer.num_step": 1}}, "unknown field outer.num_step; did you mean 'num_steps'?"),
        ({"base": "learned_optimizers/quikstart"}, "did you mean 'learned_optimizers/quickstart'?"),
        ({"metric": {"tail": 0}}, "tail must be in (0, 1], got 0.0"),
        ({"launcher": {"class_path": "Lokal"}}, "launcher names an unknown class 'Lokal'; did you mean 'Local'?"),
    ],
)
def test_sweeps_that_do_not_fit(others, message, sweep_path, assert_refused):
    path = sweep_path("Grid", GRID)
    if "base" in others:
        path.write_text(path.read_text().replace(str(path.parent / "base.yaml"), others["base"]))
        assert_refused(message, path)
    else:
        assert_refused(message, sweep_path("Grid", GRID, **others))


def test_packages_that_are_not_there(sweep_path, assert_refused, monkeypatch):
    for name in ("ray", "submitit", "optuna"):
        monkeypatch.setitem(sys.modules, name, None)
    grid = sweep_path("Grid", GRID)
    assert_refused("launcher Ray needs the package ray: pip install", grid, "--launcher", "Ray", leaves=True)
    assert_refused("launcher Slurm needs the package submitit", grid, "--launcher", "Slurm", leaves=True)
    space = {RATE: {"class_path": "Uniform", "init_args": {"low": 0.1, "high": 0.2}}}
    assert_refused("needs the package optuna", sweep_path("Optuna", {"space": space}), leaves=True)


def test_optuna_has_no_such_sampler(sweep_path, assert_refused):
    space = {RATE: {"class_path": "Uniform", "init_args": {"low": 0.1, "high": 0.2}}}
    path = sweep_path("Optuna", {"space": space, "sampler": "TPSampler"})
    assert_refused("Optuna has no sampler 'TPSampler'; did you mean 'TPESampler'?", path, leaves=True)
    path = sweep_path("Optuna", {"space": space, "storage": "nowhere"})
    assert_refused("Optuna cannot use the storage nowhere: Could not parse", path, leaves=True)


@pytest.mark.slow
def test_no_slurm_and_a_slurm_that_refuses(sweep_path, heurax_run, monkeypatch, tmp_path):
    """In processes of their own: submitit sets up logging anew, upon which absl closes what pytest captures."""
    path = sweep_path("Grid", GRID, launcher={"class_path": "Slurm"})
    code, output, errors = heurax_run("sweep", path, "--out", tmp_path / "out")
    assert (code, output) == (2, "")
    assert errors.startswith('heurax: error: launcher Slurm cannot be used: Could not detect "srun"')
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "srun").write_text("#!/bin/sh\n")
    (programs / "sbatch").write_text(
        "#!/bin/sh\n"
        "echo 'sbatch: error: invalid partition specified: gpu' >&2\n"
        "echo 'sbatch: error: Batch job submission failed: Invalid partition name specified' >&2\n"
        "exit 1\n"
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    refused = "Slurm refuses 2 jobs: sbatch: error: Batch job submission failed: Invalid partition name specified"
    assert heurax_run("sweep", path, "--out", tmp_path / "out") == (2, "", f"heurax: error: {refused}\n")
    wrong = ["--launcher.options", "{slurm_partitionn: gpu}"]
    code, output, errors = heurax_run("sweep", path, "--out", tmp_path / "out", *wrong)
    assert (code, output) == (2, "")
    assert errors.startswith("heurax: error: launcher Slurm cannot be used: ")
    assert len(errors.splitlines()) == 1


def test_directories_that_are_not_to_be_had(sweep_path, capsys, tmp_path):
    path = str(sweep_path("Grid", GRID))
    assert main(["sweep", path, "--out", "/proc/heurax"]) == 2
    assert "cannot write /proc/heurax" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["sweep", path, "--out", str(tmp_path / "file")]) == 2
    assert "is a file; give a directory for the sweep" in capsys.readouterr().err
    (tmp_path / "stranger").mkdir()
    (tmp_path / "stranger" / "thesis.txt").write_text("irreplaceable")
    assert main(["sweep", path, "--out", str(tmp_path / "stranger")]) == 2
    assert "is not a sweep directory: it has thesis.txt" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "stranger").iterdir()] == ["thesis.txt"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "sweep.yaml").write_text("base: somewhere else\n")
    assert main(["sweep", path, "--out", str(other)]) == 2
    assert "belongs to another sweep: base is 'somewhere else' there" in capsys.readouterr().err


def test_status_of_nothing(capsys, tmp_path):
    assert main(["sweep", "--status", str(tmp_path)]) == 2
    assert "there is no sweep at" in capsys.readouterr().err
    assert main(["sweep"]) == 2
    assert "give a sweep's config" in capsys.readouterr().err


@pytest.mark.slow
def test_full_disk(sweep_path, heurax_run, tmp_path):
    """The trial that finds the disk full ends the sweep, and is not counted as failed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        path = sweep_path("Grid", GRID, launcher={"class_path": "Local", "init_args": {"processes": 1}})
        code, output, errors = heurax_run("sweep", path, "--out", disk / "out")
        assert code == 2, errors
        assert output == ""
        assert "Traceback" not in errors
        assert "o space left on device" in errors.strip().splitlines()[-1]
        assert (disk / "out" / "sweep.yaml").read_text()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_what_cannot_run_together():
    rule = LearnableSGD()
    mixed = TrainConfig(SupervisedTraining(rule, Quadratic()), Mixture((Family(),)))
    streamed = TrainConfig(SupervisedTraining(rule, SoftmaxRegression(Stream(NumpyFiles("nowhere")))))
    for config, message in ((mixed, "Mixture takes turns: set"), (streamed, "a Stream feeds one trial: set")):
        with pytest.raises(HeuraxError, match=message):
            train_together([config], [], [], Console())
