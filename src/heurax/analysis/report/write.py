"""From a directory to its report, whatever it holds."""

from pathlib import Path

from heurax.analysis.report.evaluation import evaluation_page
from heurax.analysis.report.page import write_page
from heurax.analysis.report.run import run_page
from heurax.analysis.report.suite import suite_page
from heurax.analysis.report.sweep import sweep_page
from heurax.errors import HeuraxError

__all__ = ["report"]

PAGES = {
    "sweep.json": sweep_page,
    "config.yaml": run_page,
    "evaluation.json": evaluation_page,
    "suite.json": suite_page,
}
"""What is made of a directory, by the file in it that says what it is; the first that is there counts."""


def report(directory: Path, out: Path | None = None) -> Path:
    """Write the report of a run, a sweep or an evaluation.

    Args:
        directory: of the run, the sweep or the evaluation. A run's report has the evaluation that lies in its
            directory.
        out: the HTML file; None for `report.html` in the directory. An older report is replaced; any other file is
            left alone.

    Returns:
        The file.

    Raises:
        HeuraxError: the directory holds none of them, a file in it is damaged, or the report cannot be written.
    """
    if not directory.is_dir():
        raise HeuraxError(f"there is nothing to report on at {directory}: no such directory")
    make_page = next((make for file, make in PAGES.items() if (directory / file).is_file()), None)
    if make_page is None:
        raise HeuraxError(f"{directory} holds no run, sweep or evaluation: it has none of {', '.join(PAGES)}")
    out = out or directory / "report.html"
    write_page(out, make_page(directory))
    return out
