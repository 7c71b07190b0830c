"""Figures as SVG for the inside of a page: they take their ink, colours and letters from the page around them."""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from heurax.analysis.style import COLORS, INK

__all__ = ["inline_svg"]

RASTER_DPI = 144
"""Of heat-maps, which are pictures also in an SVG: sharp on a phone."""

PAGE_COLORS = {INK: "currentColor"} | {color: f"var(--color-{place}, {color})" for place, color in enumerate(COLORS)}


def inline_svg(figure: Figure, label: str, prefix: str) -> str:
    """An `<svg>` element that follows the page it is in, light or dark.

    What was drawn in the ink of `heurax.analysis.style` takes the page's text colour, its colours the page's variables
    `--color-0`, `--color-1`, ..., where they are set; text stays text, in the page's font. The element refers to
    nothing outside of itself.

    Args:
        figure: drawn in the common look.
        label: what it shows, for those who do not see it.
        prefix: of all ids, so that several figures can be in one page.

    Returns:
        Markup, in which everything that came from outside is escaped.
    """
    file = io.StringIO()
    settings: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": prefix, "text.parse_math": False}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)  # the page's font may have it
        figure.savefig(file, format="svg", transparent=True, dpi=RASTER_DPI, metadata={"Date": None})
    root = ET.fromstring(file.getvalue())
    for parent in root.iter():
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):  # links to vocabularies; rules that would hit the whole page
                parent.remove(child)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(name): _rewrite(value, prefix, name) for name, value in element.attrib.items()}
        if element.tag == "text":
            element.attrib.pop("xml:space", None)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    return ET.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _rewrite(value: str, prefix: str, name: str) -> str:
    if _local(name) == "id":
        return f"{prefix}-{value}"
    if _local(name) == "href" and value.startswith("#"):
        return f"#{prefix}-{value[1:]}"
    if name == "style":
        value = re.sub(r"font: (?:[a-z]+ )*([\d.]+px)[^;]*", r"font-size: \1", value)
        for color, variable in PAGE_COLORS.items():
            value = value.replace(color, variable)
    return value.replace("url(#", f"url(#{prefix}-")
