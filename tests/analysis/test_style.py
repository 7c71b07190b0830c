"""The common look: what its colours promise is measured here, by the published formulas."""

import itertools

import numpy as np
import pytest

from heurax.analysis.report.page import DARK_COLORS
from heurax.analysis.style import COLORS, INK, legend, line_styles, log_axis, new_figure, ordered_colors

WHITE, LIGHT_PAGE, DARK_PAGE = "#ffffff", "#fcfcfa", "#15171a"

# Machado, Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# at severity 1: they act on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
D65 = np.array([0.9505, 1.0, 1.089])


def linear(color):
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG 2's contrast ratio."""
    dark, light = sorted(TO_XYZ[1] @ linear(color) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(rgb):
    t = TO_XYZ @ np.clip(rgb, 0, 1) / D65
    x, y, z = np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("color", [*COLORS, INK])
def test_every_colour_is_seen_on_white_and_on_dark(color):
    assert min(contrast(color, WHITE), contrast(color, DARK_PAGE)) >= 3


@pytest.mark.parametrize("color", DARK_COLORS)
def test_the_dark_page_has_lighter_ones(color):
    assert contrast(color, DARK_PAGE) >= 4.5


@pytest.mark.parametrize("matrix", VISION.values(), ids=VISION)
def test_colour_blind_readers_tell_the_colours_apart(matrix):
    distances = [
        np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other)))
        for one, other in itertools.combinations(COLORS, 2)
    ]
    assert min(distances) >= 24


def test_names_beyond_the_colours_have_dashes():
    styles = list(line_styles(map(str, range(8))).values())
    assert styles[6]["color"] == styles[0]["color"]
    assert len({(style["color"], str(style["linestyle"])) for style in styles}) == 8


def test_ordered_colours_are_ink_at_nought():
    assert ordered_colors([-2.0, 0.0, 2.0]) == [COLORS[1], INK, COLORS[0]]
    assert ordered_colors([0.0]) == [INK]


@pytest.mark.parametrize("high", [1.05, 1.6, 30.0, 1e6])
def test_logarithmic_axes_have_plain_numbers(high):
    figure, axes = new_figure()
    axes[0, 0].plot([1.0, high], [1.0, high])
    log_axis(axes[0, 0], "y", 1.0, high)
    figure.draw_without_rendering()
    bottom, top = axes[0, 0].get_ylim()
    shown = [label.get_text() for label in axes[0, 0].get_yticklabels()]
    ticks = [tick for tick in axes[0, 0].get_yticks() if bottom <= tick <= top]
    assert 2 <= len(ticks) <= 10
    assert not any("$" in text for text in shown)


def test_many_long_names_are_put_in_columns_that_fit():
    figure, axes = new_figure()
    for i in range(7):
        axes[0, 0].plot([0, 1], [i, i], label=f"a rather long name {i}")
    legend(axes[0, 0], "a heading")
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.width <= figure.bbox.width
