"""What the README and the guides show is run: their Python blocks in order, the configs that their commands name."""

import json
import re
import shlex
import textwrap
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from directories import make_evaluation, make_run, make_sweep
from heurax import artifacts, cli, runs, sweeps
from heurax.outer import ESTIMATORS
from heurax.rules import AdafacMLP

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).with_suffix("").as_posix())


def blocks(page, language):
    """Fenced blocks, also those in tabs. What is marked `py` or `sh` is another project's idiom."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


@pytest.fixture
def empty_directory(tmp_path, monkeypatch):
    """Nothing but what the pages read: an evaluated run with a fresh rule in it, three seeds of another, a sweep."""
    monkeypatch.chdir(tmp_path)
    rule = AdafacMLP(step_mult=0.01)
    make_evaluation(make_run(Path("runs/quickstart"), artifact=False))
    artifacts.save("runs/quickstart/artifact", artifacts.Artifact(rule, rule.init(jax.random.key(0))))
    for seed in range(3):
        make_run(Path(f"runs/seed{seed}"), seed=seed, artifact=False)
    make_sweep(Path("runs/sweep"))


@pytest.mark.slow
@pytest.mark.usefixtures("empty_directory")
@every_page
def test_python_blocks_run(page):
    """One after the other, with common variables, as a reader would run them."""
    namespace: dict = {}
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for block in blocks(page, "python"):
            exec(compile(block, str(page), "exec"), namespace)


@pytest.mark.usefixtures("empty_directory")
@every_page
def test_configs_of_commands_are_valid(page, monkeypatch):
    """Every `heurax train` and `heurax sweep` is parsed, its config built and checked; nothing is trained.

    A YAML block is a file of the name in its first line (`# mine.yaml`), which commands may use.
    """
    for block in blocks(page, "yaml"):
        if name := re.match(r"# (\S+\.yaml)\n", block):
            Path(name[1]).write_text(block)
    done = SimpleNamespace(status="finished", stopped_by=None, outer_steps=0, meta_loss=None)

    def check(config, *args, **options):
        sweeps.check_sweep(config)
        return sweeps.SweepResult(
            sweeps.SweepTable(config.base, {"name": "meta_loss", "goal": "minimize"}, [], 0), None
        )

    monkeypatch.setattr(sweeps, "run_sweep", check)
    monkeypatch.setattr(sweeps, "show_status", lambda *args: None)
    monkeypatch.setattr(runs, "train", lambda *args, **options: done)
    shown = "".join(blocks(page, "bash")).replace("\\\n", " ").splitlines()
    for command in [words for line in shown if (words := shlex.split(line, comments=True))[:2] == ["heurax", "train"]]:
        assert cli.main(command[1:]) == 0, shlex.join(command)
    for command in [words for line in shown if (words := shlex.split(line, comments=True))[:2] == ["heurax", "sweep"]]:
        assert cli.main(command[1:]) == 0, shlex.join(command)


def test_the_readme_shows_both():
    assert len(blocks(PAGES[0], "python")) >= 2
    assert "heurax train" in "".join(blocks(PAGES[0], "bash"))


def test_the_table_of_costs_is_what_was_measured():
    """The rows of the guide to learned optimizers, from the results of `benchmarks.optimizer_update`."""
    page = (ROOT / "docs" / "guides" / "learned-optimizers.md").read_text()
    rows = json.loads((ROOT / "results" / "optimizer_update" / "optimizer_update.json").read_text())
    trees = {tree: {row["rule"]: row for row in rows if row["tree"] == tree} for tree in ("mlp", "transformer")}
    for name, small in trees["mlp"].items():
        large = trees["transformer"][name]
        costs = [
            f"{row['ratio_to_adam']:.1f} | {row['fast_math_ratio_to_adam']:.1f} | {row['compile_seconds']:.1f} s"
            for row in (small, large)
        ]
        temporary, state = (large[f"{kind}_bytes_per_parameter"] for kind in ("temporary", "state"))
        assert f"| {name} | {costs[0]} | {costs[1]} | {temporary:.0f} B | {state:.1f} B |" in page


def test_the_table_of_estimators_is_what_was_measured():
    """The rows of the guide to the outer loop, from the results of `benchmarks.estimators`."""
    page = (ROOT / "docs" / "guides" / "outer-loop.md").read_text()
    problems = json.loads((ROOT / "results" / "estimators" / "estimators.json").read_text())["problems"]

    def bias(row):
        return f"{row['bias']:+.2f}".replace("-0.00", "+0.00")

    def two_digits(x):
        x = float(f"{x:.2g}")
        return f"{x:.2g}" if x < 100 else f"{x:,.0f}"

    def reached(row):
        return np.exp(np.mean(np.log([curve[-1] for curve in row["curves"]])))

    assert set(problems["learned_optimizer"]) == set(ESTIMATORS)
    for name, learned in problems["learned_optimizer"].items():
        balancing = problems["influence_balancing"][name]
        cells = [
            *(bias(learned), bias(balancing), two_digits(learned["cost"])),
            *(f"{learned['milliseconds']:.1f} ms", f"{learned['memory_bytes'] / 1e6:.2f} MB"),
            *(f"{reached(learned):.2f}", two_digits(reached(balancing))),
        ]
        assert f"| `{name}` | {' | '.join(cells)} |" in page


def test_the_table_of_drifts_is_what_was_measured():
    """The rows of the README, from the results of `scripts.reproduce.lpo_small`."""
    page = PAGES[0].read_text()
    record = json.loads((ROOT / "results" / "lpo_small" / "lpo_small.json").read_text())["tasks"]["held-out levels"]
    for name, d in record["learned_minus"].items():
        assert (
            f"| {name} | {record['final_return'][name]['mean']:.3f} | {d['mean']:+.3f} [{d['low']:+.3f}, "
            f"{d['high']:+.3f}] | {d['seeds_better']} of {record['seeds']} |"
        ) in page
