"""The pages of the site that are generated; `scripts/test.sh` builds it, with warnings as errors."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest
from scripts.docs.algorithms import algorithm_pages
from scripts.docs.docstrings import as_markdown
from scripts.docs.measured import NOTHING, measured
from scripts.docs.reference import reference_nav, reference_pages
from scripts.docs.tutorials import SOURCES, tutorial_pages, tutorials_nav

from heurax.outer import ESTIMATORS
from heurax.rules import RULES

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "heurax"


def exported():
    """Every object that some package's `__all__` names, read from the source: (its name, the object)."""
    for init in PACKAGE.rglob("__init__.py"):
        for node in ast.parse(init.read_text()).body:
            if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
                module = importlib.import_module(".".join(init.parent.relative_to(PACKAGE.parent).parts))
                yield from ((name, getattr(module, name)) for name in ast.literal_eval(node.value))


def test_every_public_name_has_a_page_and_nothing_else_has():
    documented = []
    for path, page in reference_pages().items():
        for identifier in re.findall(r"^::: (\S+)$", page, re.MULTILINE):
            package, _, name = identifier.rpartition(".")
            assert path == f"reference/{package}/{name}.md"
            documented.append((name, id(getattr(importlib.import_module(package), name))))
    assert len(set(documented)) == len(documented)
    assert set(documented) == {(name, id(value)) for name, value in exported()}


@pytest.mark.parametrize(
    ("pages", "nav"),
    [(reference_pages, reference_nav), (tutorial_pages, tutorials_nav)],
    ids=["reference", "tutorials"],
)
def test_every_generated_page_is_in_the_navigation(pages, nav):
    def leaves(entries):
        for entry in entries:
            yield from [entry] if isinstance(entry, str) else leaves(next(iter(entry.values())))

    assert set(leaves(nav())) == {path for path in pages() if path.endswith(".md")}


def test_every_rule_and_every_estimator_has_a_page_that_begins_with_a_text():
    pages = algorithm_pages()
    for name in [*RULES, *ESTIMATORS]:
        page = pages[f"algorithms/{name}.md"]
        assert (ROOT / "docs" / "algorithms" / f"{name}.md").is_file(), f"write docs/algorithms/{name}.md"
        assert "## How it works" in page
        assert "```yaml" in page


def test_texts_of_algorithms_are_about_algorithms():
    written = {path.name for path in (ROOT / "docs" / "algorithms").glob("*.md")}
    assert written <= {Path(path).name for path in algorithm_pages()}


def test_measured_figures_are_those_of_the_results():
    record = json.loads((ROOT / "results" / "lpo_small" / "lpo_small.json").read_text())["tasks"]["held-out levels"]
    difference = record["learned_minus"]["PPO clip"]
    assert f"{difference['mean']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]" in measured("PPOClip")
    rows = json.loads((ROOT / "results" / "optimizer_update" / "optimizer_update.json").read_text())
    for row in rows:
        if row["rule"] in RULES:
            assert f"| {row['ratio_to_adam']:.1f} | {row['compile_seconds']:.1f} s |" in measured(row["rule"])
    assert measured("Scalar") == NOTHING


def test_doctests_are_fenced_and_mentions_are_linked():
    text = "See `DPO`, and [`LPO`](LPO.md).\n\n>>> `DPO`\n1\n\nAfter."
    linked = as_markdown(text, {"DPO": "[x]", "LPO": "[y]"})
    assert linked == "See [`DPO`][x], and [`LPO`](LPO.md).\n\n```pycon\n>>> `DPO`\n1\n```\n\nAfter."


def test_tutorials_show_what_was_run_where_it_was(tmp_path, monkeypatch):
    (tmp_path / "quickstart.ipynb").write_text(
        json.dumps(
            {
                "cells": [
                    {"cell_type": "markdown", "metadata": {}, "source": "# Title\n\nA sentence. Another."},
                    {
                        "cell_type": "code",
                        "execution_count": 1,
                        "metadata": {},
                        "source": "1 + 1",
                        "outputs": [
                            {"output_type": "stream", "name": "stdout", "text": "two\n"},
                            {"output_type": "display_data", "metadata": {}, "data": {"image/png": "AAAA"}},
                        ],
                    },
                ],
                "metadata": {},
                "nbformat": 4,
                "nbformat_minor": 4,
            }
        )
    )
    assert "```text" not in tutorial_pages()["tutorials/quickstart.md"]
    monkeypatch.setenv("HEURAX_NOTEBOOKS", str(tmp_path))
    pages = tutorial_pages()
    assert "```text\ntwo\n```" in pages["tutorials/quickstart.md"]
    assert pages["tutorials/quickstart-1-1.png"] == b"\0\0\0"
    assert "[Title](quickstart.md): A sentence." in pages["tutorials/index.md"]
    assert {path.stem for path in SOURCES.glob("*.py")} <= {Path(path).stem for path in pages}
