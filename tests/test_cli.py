"""The command line: help that reads well, lists that are complete."""

import pytest

from heurax.cli import main
from heurax.config import config_files, find_config, read_config
from heurax.evaluation import EvaluationConfig
from heurax.inner import INNER_LOOPS
from heurax.outer import ESTIMATORS, OUTER_LOOPS
from heurax.rules import RULES
from heurax.runs import TrainConfig
from heurax.tasks import TASKS


@pytest.mark.parametrize(
    "command", [[], ["train"], ["evaluate"], ["export"], ["list"]], ids=lambda c: c[0] if c else ""
)
def test_help_reads_well(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 120
    assert "heurax" in text
    if command and command[0] in ("train", "evaluate"):
        assert "Fields of the config:" in text
        assert "\n    seed: " in text


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for table in (RULES, TASKS, INNER_LOOPS, ESTIMATORS, OUTER_LOOPS, config_files()):
        for name in table:
            assert f"\n  {name} " in text
    assert "learned_optimizers/quickstart" in text
    assert main(["list", "strategies"]) == 0
    assert "Sep_CMA_ES" in capsys.readouterr().out
    assert main(["list", "PersistentES"]) == 0
    assert "sigma: standard deviation of the perturbation" in capsys.readouterr().out


@pytest.mark.parametrize("name", config_files())
def test_every_config_is_valid_and_commented(name):
    path = find_config(name)
    read_config(EvaluationConfig if name.startswith("evaluation/") else TrainConfig, path)
    assert path.read_text().startswith("# ")


def test_resolved_config_reads_back_the_same(tmp_path):
    config, text = read_config(
        TrainConfig, find_config("learned_optimizers/quickstart"), ["--outer.estimator", "FullES"]
    )
    path = tmp_path / "resolved.yaml"
    path.write_text(text)
    assert read_config(TrainConfig, path) == (config, text)
