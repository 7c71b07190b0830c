"""Every config that comes with heurax is valid."""

from pathlib import Path

import pytest

from heurax.config import find_config, read_config
from heurax.evaluation import LifetimesConfig
from heurax.runs import TrainConfig

FOLDERS = {
    "agents": LifetimesConfig,
    "drifts": TrainConfig,
    "learned_optimizers": TrainConfig,
    "objectives": TrainConfig,
}
ROOT = Path(__file__).resolve().parents[2] / "configs"
NAMES = [f"{folder}/{file.stem}" for folder in FOLDERS for file in sorted((ROOT / folder).glob("*.yaml"))]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_valid(name):
    read_config(FOLDERS[name.partition("/")[0]], find_config(name), [])
