"""The tutorials: the notebooks as pages, with their outputs where they have been run.

`HEURAX_NOTEBOOKS` names a folder with run notebooks (`scripts/test.sh` sets it); without it the pages show code alone.
"""

import base64
import os
import re
from pathlib import Path
from typing import Any

import jupytext

__all__ = ["tutorial_pages", "tutorials_nav"]

FOLDER = "tutorials"
SOURCES = Path(__file__).resolve().parents[2] / "notebooks"
ORDER = (
    "quickstart",
    "own_rule",
    "own_task",
    "estimators",
    "sweep",
    "flax_training",
    "discovered_drifts",
    "discovered_objectives",
)
"""The order in which to read them; others follow."""


def tutorial_pages() -> dict[str, str | bytes]:
    """Markdown of every tutorial and of their index, and the figures, by path below `docs/`."""
    pages: dict[str, str | bytes] = {}
    rows = []
    for name in _names():
        notebook = _notebook(name)
        title, summary = _heading(notebook.cells[0].source)
        rows.append(f"{len(rows) + 1}. [{title}]({name}.md): {summary}")
        parts = [_cell(cell, f"{name}-{number}", pages) for number, cell in enumerate(notebook.cells)]
        parts.append(f"---\n\nThis page is `notebooks/{name}.py`, which CI runs from top to bottom.")
        pages[f"{FOLDER}/{name}.md"] = "\n\n".join(part for part in parts if part) + "\n"
    lines = ["# Tutorials", "Notebooks, to be run by you: `jupytext --to ipynb notebooks/NAME.py`.", "\n".join(rows)]
    return {f"{FOLDER}/index.md": "\n\n".join(lines) + "\n", **pages}


def tutorials_nav() -> list:
    """The tutorials' part of the navigation."""
    return [f"{FOLDER}/{name}.md" for name in ("index", *_names())]


def _names() -> list[str]:
    found = {path.stem for path in SOURCES.glob("*.py")}
    return [*(name for name in ORDER if name in found), *sorted(found - set(ORDER))]


def _notebook(name: str) -> Any:
    """The notebook as it was run, if it was, or else its source."""
    run = Path(os.environ.get("HEURAX_NOTEBOOKS", "")) / f"{name}.ipynb"
    return jupytext.read(run if run.is_file() else SOURCES / f"{name}.py")


def _heading(text: str) -> tuple[str, str]:
    """Title and first sentence of a notebook, whose first cell begins with both."""
    title, _, rest = text.partition("\n")
    sentence = re.split(r"(?<=[.!?])\s", " ".join(rest.split()), maxsplit=1)[0]
    return title.removeprefix("# "), sentence


def _cell(cell: Any, name: str, pages: dict[str, str | bytes]) -> str:
    """A cell as Markdown; its figures become files."""
    if cell.cell_type == "markdown":
        return cell.source
    parts = [f"```python\n{cell.source}\n```"] if cell.source.strip() else []
    for number, output in enumerate(cell.get("outputs", ())):
        data = output.get("data", {})
        if "image/png" in data:
            figure = f"{name}-{number}.png"
            pages[f"{FOLDER}/{figure}"] = base64.b64decode(data["image/png"])
            parts.append(f"![Figure that the code above draws]({figure})")
        elif "text/html" in data:
            parts.append(_html(data["text/html"]))
        elif text := data.get("text/plain") or (output.get("name") == "stdout" and output.get("text")):
            parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts)


def _html(text: str) -> str:
    """A table of pandas, without its own style."""
    return re.sub(r"<style.*?</style>\n?", "", text, flags=re.DOTALL).strip()
