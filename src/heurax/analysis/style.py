"""One look for every figure: six colours that colour-blind readers tell apart, legible on white and on black.

Every colour, the ink of text and axes included, is a mid-tone: it has a contrast of at least 3 to 1 both with white
and with a dark page, so that one transparent figure serves a light notebook, a dark one, and a paper. The first colour
is the learned rule's.
"""

from collections.abc import Iterable, Iterator
from itertools import cycle, product
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

__all__ = [
    "COLORS",
    "DIVERGING",
    "INK",
    "SEQUENTIAL",
    "band",
    "color_bar",
    "legend",
    "line_styles",
    "log_axis",
    "new_figure",
    "ordered_colors",
    "steps_axis",
    "title",
]

COLORS = ("#dd6611", "#0077bb", "#889977", "#8822ff", "#cc0033", "#885577")
"""Orange, blue, sage, violet, crimson, mauve: their smallest CIE76 distance is 24, also under colour-blindness."""

INK = "#737373"
"""Of text, axes and grids."""

SEQUENTIAL = LinearSegmentedColormap.from_list("heurax_sequential", [to_rgba(COLORS[0], 0.0), to_rgba(COLORS[0])])
"""Of heat-maps: nothing at 0, so that the page shows through, to orange."""

DIVERGING = LinearSegmentedColormap.from_list(
    "heurax_diverging",
    [
        (0.0, to_rgba(COLORS[1])),
        (0.5, to_rgba(COLORS[1], 0.0)),
        (0.5, to_rgba(COLORS[0], 0.0)),
        (1.0, to_rgba(COLORS[0])),
    ],
)
"""Of heat-maps with two signs: blue, nothing around 0, orange."""

DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)))

WIDTH, HEIGHT = 4.8, 3.3
"""Inches of one panel: as wide as a phone shows without shrinking its text below 9 points."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.22,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.parse_math": False,  # names come from outside, and may have a dollar in them
}


def new_figure(
    rows: int = 1, columns: int = 1, width: float = WIDTH, height: float = HEIGHT, **subplots: Any
) -> tuple[Figure, np.ndarray]:
    """An empty figure in the common look.

    Args:
        rows: of panels.
        columns: of panels.
        width: of one panel, in inches.
        height: of one panel, in inches.
        subplots: further arguments of `Figure.subplots`, such as `sharex`.

    Returns:
        The figure and its axes, `[rows, columns]`. It is not known to pyplot, so nothing needs to be closed.

    >>> figure, axes = new_figure(columns=2)
    >>> axes.shape
    (1, 2)
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def line_styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour for each name, and where those run out, dashes: arguments of `Axes.plot`.

    >>> [style["color"] for style in line_styles(["learned", "adam"]).values()]
    ['#dd6611', '#0077bb']
    """
    looks: Iterator[tuple[Any, str]] = cycle(product(DASHES, COLORS))
    return {name: {"color": color, "linestyle": dash} for name, (dash, color) in zip(names, looks, strict=False)}


def ordered_colors(values: Iterable[float]) -> list[str]:
    """Colours of numbers that have an order: blue for the lowest below 0, ink at 0, orange for the highest.

    >>> ordered_colors([-1.0, 0.0, 1.0])
    ['#0077bb', '#737373', '#dd6611']
    """
    values = np.asarray(list(values), float)
    limit = max(np.abs(values).max(), 1e-30)
    ends = {-1.0: COLORS[1], 0.0: INK, 1.0: COLORS[0]}
    channels = np.array([to_rgb(color) for color in ends.values()]).T
    mixed = np.stack([np.interp(values / limit, list(ends), channel) for channel in channels], axis=1)
    return [to_hex(color) for color in mixed]


def band(axes: Axes, x: Any, low: Any, high: Any, color: str) -> None:
    """Shade an interval around a line."""
    axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def legend(axes: Axes, heading: str = "") -> None:
    """Name the lines above the panel, where they hide nothing; a single line needs no name.

    Args:
        axes: a panel, whose lines have labels.
        heading: what the names are names of, where they do not say so.
    """
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) < 2:
        return
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    room = 11 * figure.get_figwidth()  # in characters, of which a line and the space around it take five
    columns = len(labels)
    while columns > 1 and columns * (max(map(len, labels)) + 5) > room and sum(len(x) + 5 for x in labels) > room:
        columns -= 1
    columns = -(-len(labels) // -(-len(labels) // columns))  # rows as even as can be
    with matplotlib.rc_context(STYLE):
        named = figure.legend(
            handles,
            labels,
            title=heading or None,
            loc="outside upper left",
            ncols=columns,
            alignment="left",
            handlelength=1.5,
            columnspacing=1.1,
        )
        named.get_title().set_fontsize(9)


def title(axes: Axes, text: str) -> None:
    """Say what one of several panels shows."""
    with matplotlib.rc_context(STYLE):
        axes.set_title(text)


def steps_axis(axes: Axes, label: str) -> None:
    """A horizontal axis that counts."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
    axes.set_xlabel(label)


def color_bar(axes: Axes, image: Any, extend: str) -> None:
    """The scale of a heat-map, beside its panel."""
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    with matplotlib.rc_context(STYLE):
        bar = figure.colorbar(image, ax=axes, extend=extend, format="%.2g")
    if bar.solids is not None:
        bar.solids.set_rasterized(True)  # else its translucent steps overlap in an SVG
    bar.outline.set_visible(False)


def log_axis(axes: Axes, axis: str, low: float, high: float) -> None:
    """A logarithmic axis with plain numbers, also where it spans less than a decade.

    Args:
        axes: the panel.
        axis: `x` or `y`.
        low: smallest value that is shown; > 0.
        high: largest one.
    """
    getattr(axes, f"set_{axis}scale")("log")
    which = getattr(axes, f"{axis}axis")
    decades = np.log10(high / low)
    if decades < 0.4:  # so narrow that round numbers may miss it
        which.set_major_locator(FixedLocator(list(np.geomspace(low, high, 3))))
        which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        which.set_minor_locator(NullLocator())
        return
    steps = (1.0,) if decades > 3 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(np.arange(1.0, 10.0))
    which.set_major_locator(LogLocator(subs=steps, numticks=8 if decades > 3 else 16))
    which.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    which.set_minor_formatter(NullFormatter())
