"""The page on performance says what was measured."""

from pathlib import Path

from benchmarks.page import page


def test_the_page_is_that_of_the_results():
    assert Path("docs/performance.md").read_text() == page(), "run `python -m benchmarks.page`"
