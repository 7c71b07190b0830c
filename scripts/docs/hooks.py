"""Hooks of mkdocs: they add the generated pages to the files and to the navigation."""

import logging
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # mkdocs loads this file by its path

from scripts.docs.algorithms import algorithm_pages, algorithms_nav  # noqa: E402 # needs the path above
from scripts.docs.reference import reference_nav, reference_pages  # noqa: E402 # likewise
from scripts.docs.tutorials import tutorial_pages, tutorials_nav  # noqa: E402 # likewise

LAST_GUIDE = "guides/coming-from.md"


def guides_nav() -> list[str]:
    """All guides, by name; the one for readers from elsewhere last."""
    guides = {f"guides/{path.name}" for path in (ROOT / "docs" / "guides").glob("*.md")}
    return [*sorted(guides - {LAST_GUIDE}), LAST_GUIDE]


NAVIGATION = {
    "algorithms": algorithms_nav,
    "guides": guides_nav,
    "reference": reference_nav,
    "tutorials": tutorials_nav,
}
PAGES = (tutorial_pages, algorithm_pages, reference_pages)
MARK = "generated: "
REQUEST = re.compile(
    r"""<(?:script|img|iframe)[^>]*\ssrc=["'](?:https?:)?//[^"']*|<link[^>]*href=["'](?:https?:)?//[^"']*"""
)
LOG = logging.getLogger("mkdocs.hooks.heurax")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages where the navigation names their group."""
    config.nav = [_expand(entry) for entry in config.nav or []]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; one that has a file in `docs/` replaces it, for it begins with its text."""
    for make in PAGES:
        for path, content in make().items():
            if (written := files.get_file_from_path(path)) is not None:
                files.remove(written)
            files.append(File.generated(config, path, content=content))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Warn, which fails a strict build, where reading a page would load something from elsewhere."""
    del config  # unused: all pages are alike
    for request in REQUEST.findall(output):
        LOG.warning(f"{page.file.src_uri} loads from elsewhere: {request}")
    return output


def _expand(entry: dict) -> dict:
    ((title, value),) = entry.items()
    if isinstance(value, str) and value.startswith(MARK):
        return {title: NAVIGATION[value.removeprefix(MARK)]()}
    return entry
