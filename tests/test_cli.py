"""The command line: help that reads well, lists that are complete."""

import re

import pytest

from heurax.cli import main
from heurax.config import config_files, find_config, read_config
from heurax.envs import ENVIRONMENTS
from heurax.errors import HeuraxError
from heurax.evaluation import EvaluationConfig, LifetimesConfig, Suite
from heurax.inner import INNER_LOOPS
from heurax.outer import ESTIMATORS, OUTER_LOOPS
from heurax.rules import RULES
from heurax.runs import TrainConfig
from heurax.sweeps import LAUNCHERS, SEARCHES, SweepConfig, check_sweep
from heurax.tasks import NAMED_TASKS, TASKS


@pytest.mark.parametrize(
    "command",
    [[], ["train"], ["sweep"], ["evaluate"], ["export"], ["import"], ["list"]],
    ids=lambda c: c[0] if c else "",
)
def test_help_reads_well(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    assert "heurax" in text
    if command and command[0] in ("train", "sweep", "evaluate"):
        assert "Fields of the config:" in text
        assert "\n    seed" in text


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for table in (
        RULES,
        TASKS,
        ENVIRONMENTS,
        INNER_LOOPS,
        ESTIMATORS,
        OUTER_LOOPS,
        SEARCHES,
        LAUNCHERS,
        config_files(),
    ):
        for name in table:
            assert f"\n  {name} " in text
    assert "learned_optimizers/quickstart" in text
    assert main(["list", "strategies"]) == 0
    assert "Sep_CMA_ES" in capsys.readouterr().out
    assert main(["list", "PersistentES"]) == 0
    assert "sigma: standard deviation of the perturbation" in capsys.readouterr().out


def test_list_shows_the_spaces_of_environments(capsys):
    assert main(["list", "Gymnax"]) == 0
    text = capsys.readouterr().out
    assert "An environment of gymnax by its name" in text
    assert "CartPole-v1               observation 4, 2 actions" in text
    assert "Pendulum-v1               observation 3, 1 numbers in [-2, 2]" in text
    assert "MNIST" not in text  # needs a download
    assert main(["list", "Gymnx"]) == 2
    assert "nothing is called 'Gymnx'; did you mean 'Gymnax'?" in capsys.readouterr().err


def test_list_shows_what_fixed_tasks_cost(capsys):
    assert main(["list", "tasks"]) == 0
    text = capsys.readouterr().out
    for name in NAMED_TASKS:
        assert f"\n  {name} " in text
    assert re.search(r"\n  mlp_digits +2,410 +6.5e\+05\n", text)
    assert main(["list", "mlp_digits"]) == 0
    assert "ImageMLP(dataset='digits'" in capsys.readouterr().out


CARTPOLE = """\
inner:
  class_path: PPO
  init_args: {rule: NoDrift, env: {class_path: Gymnax, init_args: {name: CartPole-v1}}}
outer: Descent
"""


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["--inner.env.name", "CartPol-v1"], "no environment 'CartPol-v1'; did you mean 'CartPole-v1'"),
        (["--inner.env", "Catc"], "inner.env names an unknown class 'Catc'; did you mean 'Catch'?"),
        (
            ["--inner.env", "Brax", "--inner.env.name", "ant", "--inner.env.backend", "springs"],
            "inner.env.backend must be one of 'generalized', 'positional', 'spring', 'mjx', got springs",
        ),
        (["--inner.env", "Brax", "--inner.env.name", "swimmer"], "backend of swimmer: Unsupported backend: spring"),
        (["--inner.env", "GridWorld", "--inner.env.levels", "denser"], "got 'denser'; near are dense"),
    ],
)
def test_environments_that_are_not_there_are_refused(overrides, message, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CARTPOLE)
    with pytest.raises(HeuraxError, match=re.escape(message)):
        read_config(TrainConfig, path, overrides)


@pytest.mark.parametrize("name", config_files())
def test_every_config_is_valid_and_commented(name):
    path = find_config(name)
    others = {"agents": LifetimesConfig, "evaluation": EvaluationConfig, "suites": Suite, "sweeps": SweepConfig}
    config, _ = read_config(others.get(name.split("/")[0], TrainConfig), path)
    if isinstance(config, SweepConfig):
        check_sweep(config)
    assert path.read_text().startswith("# ")


def test_resolved_config_reads_back_the_same(tmp_path):
    config, text = read_config(
        TrainConfig, find_config("learned_optimizers/quickstart"), ["--outer.estimator", "FullES"]
    )
    path = tmp_path / "resolved.yaml"
    path.write_text(text)
    assert read_config(TrainConfig, path) == (config, text)
