"""A report as data, and as one HTML page that needs nothing else: no script, no network, no other file."""

import importlib.metadata
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import jinja2
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from heurax.analysis.style import COLORS
from heurax.analysis.svg import inline_svg
from heurax.errors import HeuraxError
from heurax.files import write_text

__all__ = ["Code", "Facts", "Note", "Page", "Picture", "Section", "Table", "format_value", "render", "write_page"]

GENERATOR = "heurax report"

DARK_COLORS = ("#f0893f", "#4da6e0", "#a8b798", "#ab7bff", "#f2596f", "#c18fab")
"""`heurax.analysis.style.COLORS`, lighter, for a dark page."""


@dataclass(frozen=True)
class Note:
    """A paragraph."""

    text: str
    kind: Literal["note"] = "note"


@dataclass(frozen=True)
class Facts:
    """Names and values; `large` ones are what a reader looks for first."""

    pairs: Sequence[tuple[str, Any]]
    large: bool = False
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True)
class Table:
    """Rows under a caption; columns of numbers are aligned as such."""

    caption: str
    frame: pd.DataFrame
    kind: Literal["table"] = "table"

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold nothing but numbers, or nothing."""
        return [pd.api.types.is_numeric_dtype(self.frame[name]) for name in self.frame]

    @property
    def rows(self) -> list[list[str]]:
        """The cells."""
        return [[format_value(value) for value in row] for row in self.frame.itertuples(index=False, name=None)]


@dataclass(frozen=True)
class Picture:
    """A figure with a sentence about it; a `wide` one keeps its size where the page is narrower, and scrolls."""

    caption: str
    figure: Figure = field(hash=False)
    wide: bool = False
    kind: Literal["picture"] = "picture"


@dataclass(frozen=True)
class Code:
    """What is typed into a terminal, or stands in a file."""

    text: str
    caption: str = ""
    kind: Literal["code"] = "code"


Block = Note | Facts | Table | Picture | Code


@dataclass(frozen=True)
class Section:
    """Blocks under a heading."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False
    """Whether the reader opens it."""

    @property
    def anchor(self) -> str:
        """The heading as the name of a place in the page."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        kind: what it is about: a meta-training run, a sweep, an evaluation.
        title: its name.
        lead: the result in a sentence.
        facts: the numbers that a reader looks for first.
        sections: all else.
    """

    kind: str
    title: str
    lead: str
    facts: Facts
    sections: Sequence[Section]


def format_value(value: Any) -> str:
    """A value as a reader wants it: four digits, thousands apart, a dash for nothing.

    >>> format_value(1234567), format_value(0.123456), format_value(None), format_value([1, 2])
    ('1,234,567', '0.1235', '-', '1, 2')
    """
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "-"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        return f"{value:,.0f}" if abs(value) >= 1e4 and float(value).is_integer() else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value)) or "none"
    if isinstance(value, dict) and isinstance(value.get("class_path"), str):
        return f"{value['class_path'].rpartition('.')[2]}({format_value(value.get('init_args') or {})})"
    if isinstance(value, dict):
        return ", ".join(f"{name} {format_value(x)}" for name, x in value.items()) or "none"
    return str(value)


def render(page: Page) -> str:
    """The page as HTML. Every text is escaped; figures are inline SVG."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("heurax.analysis.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = format_value
    pictures = [block for section in page.sections for block in section.blocks if isinstance(block, Picture)]
    svg = {
        id(picture): Markup(inline_svg(picture.figure, picture.caption, f"f{i}")) for i, picture in enumerate(pictures)
    }
    return environment.get_template("report.html.j2").render(
        page=page,
        svg=lambda picture: svg[id(picture)],
        groups=_groups,
        generator=GENERATOR,
        version=importlib.metadata.version("heurax"),
        written=datetime.now(UTC),
        light=COLORS,
        dark=DARK_COLORS,
    )


def _groups(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Neighbours of one kind together, so that pictures can stand side by side."""
    return [(kind, list(group)) for kind, group in itertools.groupby(blocks, key=lambda block: block.kind)]


def write_page(path: Path, page: Page) -> None:
    """Write the page in one piece. A file that is there and is no report is left alone.

    Raises:
        HeuraxError: another file is there, or it cannot be written.
    """
    if path.is_dir():
        raise HeuraxError(f"{path} is a directory; give a file for the report")
    if path.exists() and f'<meta name="generator" content="{GENERATOR}' not in _beginning(path):
        raise HeuraxError(f"{path} is there and is no report of heurax's; give another --out")
    write_text(path, render(page))


def _beginning(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(2000).decode("utf-8", "replace")
    except OSError as error:
        raise HeuraxError(f"{path} cannot be read: {error.strerror}") from error
