"""The README's Python blocks run, one after the other, in the order in which they are read."""

import re
from pathlib import Path

import jax
import pytest

from heurax import artifacts
from heurax.rules import AdafacMLP

README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.mark.slow
def test_readme_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rule = AdafacMLP(step_mult=0.01)
    artifact = artifacts.Artifact(rule, rule.init(jax.random.key(0)))
    artifacts.save("runs/quickstart/artifact", artifact)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) >= 2
    namespace: dict = {}
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for block in blocks:
            exec(compile(block, str(README), "exec"), namespace)
