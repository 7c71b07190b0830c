"""Every way to improve a rule is a change of a few lines of a config."""

import pytest

from heurax.config import read_config
from heurax.outer import (
    ESTIMATORS,
    Average,
    LogUniformLength,
    NeverEnding,
    NoiseReuseES,
    SigmaSchedule,
    TruncatedGradient,
)
from heurax.runs import TrainConfig

MIXTURE = """
outer:
  class_path: Descent
  init_args:
    estimator:
      class_path: Average
      init_args:
        weights: [1, 0.5]
        estimators:
        - class_path: NoiseReuseES
          init_args:
            num_tasks: 4
            window: 10
            shaping: centred_rank
            rank: 1
            sigma_schedule: {kind: linear, num_steps: 50}
            truncation: {class_path: LogUniformLength, init_args: {shortest: 20}}
        - class_path: TruncatedGradient
          init_args: {num_tasks: 4, window: 10, remat: 5, truncation: {class_path: NeverEnding}}
"""


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name != "Average"])  # has no defaults
def test_estimators_by_name(name):
    config, _ = read_config(TrainConfig, None, ["--outer.estimator", name])
    assert config.outer.estimator == ESTIMATORS[name]()


def test_bootstrapping_in_function_space_is_one_line():
    arguments = ["--outer.estimator", "Bootstrapped", "--inner.matching_function", "kl"]
    config, _ = read_config(TrainConfig, None, arguments)
    assert config.inner.matching_function == "kl"


def test_an_average_is_one_line():
    arguments = [
        "--outer.estimator=Average",
        "--outer.estimator.estimators=[NoiseReuseES, TruncatedGradient]",
        "--outer.estimator.weights=[1, 0.5]",
    ]
    config, _ = read_config(TrainConfig, None, arguments)
    assert config.outer.estimator == Average((NoiseReuseES(), TruncatedGradient()), (1.0, 0.5))


def test_all_options_in_yaml(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(MIXTURE)
    config, text = read_config(TrainConfig, path, ["--outer.optimizer.accumulate", "2"])
    evolution = NoiseReuseES(
        num_tasks=4,
        window=10,
        shaping="centred_rank",
        rank=1,
        sigma_schedule=SigmaSchedule("linear", num_steps=50),
        truncation=LogUniformLength(20),
    )
    gradient = TruncatedGradient(4, window=10, remat=5, truncation=NeverEnding())
    assert config.outer.estimator == Average((evolution, gradient), (1.0, 0.5))
    assert config.outer.optimizer.accumulate == 2
    path.write_text(text)
    assert read_config(TrainConfig, path)[0] == config
