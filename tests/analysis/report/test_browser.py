"""Reports in a browser: Debian's Chromium without a screen, on a desk and on a phone, in light and in dark.

They skip without Chromium, which no package index has; `.ci/run` installs it.
"""

import os
import shutil

import pytest

from directories import make_evaluation, make_run, make_suite, make_sweep
from heurax.analysis.report import report

CHROMIUM = os.environ.get("HEURAX_CHROMIUM") or shutil.which("chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
MAKERS = {"evaluation": make_evaluation, "suite": make_suite, "sweep": make_sweep}
WIDE, NARROW = 1280, 390

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium, or set HEURAX_CHROMIUM"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of playwright's own event loop
]

BACKGROUND = "getComputedStyle(document.body).backgroundColor"
INK = "getComputedStyle(document.querySelector('figure svg text')).fill"
LINE = "getComputedStyle(document.querySelector('figure svg [id$=axes_1] path[style*=color-0]')).stroke"
SCROLL = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
SMALLEST_TEXT = """Math.min(...[...document.querySelectorAll('figure svg')].flatMap(svg => {
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return [...svg.querySelectorAll('text')].map(text => scale * parseFloat(getComputedStyle(text).fontSize));
}))"""
OUTSIDE = """[...document.querySelectorAll('body *')].filter(element => {
    const box = element.getBoundingClientRect();
    return !element.closest('.scroll, pre, svg') && box.width && box.right > document.documentElement.clientWidth + 1;
}).map(element => element.tagName)"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("reports")
    run = make_run(directory / "run", gradient_norm=(1.0, 20.0, 300.0, 4.0))
    make_evaluation(run)
    made = [run, *(make(directory / kind) for kind, make in MAKERS.items())]
    return {path.name: report(path) for path in made}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser):
    """Opens a page and returns it, with what it said to the console and what it asked the network for."""
    contexts = []

    def open_page(path, width, scheme):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        return page, said, asked

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("kind", ["run", *MAKERS])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_reports_open_quietly_and_fit(kind, width, pages, visit):
    for scheme in ("light", "dark"):
        page, said, asked = visit(pages[kind], width, scheme)
        assert said == []
        assert asked == [pages[kind].as_uri()]
        needed, there = page.evaluate(SCROLL)
        assert needed <= there
        assert page.evaluate(OUTSIDE) == []
        assert page.evaluate(SMALLEST_TEXT) >= 8


def test_figures_follow_the_page_into_the_dark(pages, visit):
    looks = {}
    for scheme in ("light", "dark"):
        page, _, _ = visit(pages["run"], WIDE, scheme)
        looks[scheme] = [page.evaluate(script) for script in (BACKGROUND, INK, LINE)]
    assert looks["light"] == ["rgb(252, 252, 250)", "rgb(29, 31, 34)", "rgb(221, 102, 17)"]
    assert looks["dark"] == ["rgb(21, 23, 26)", "rgb(226, 228, 231)", "rgb(240, 137, 63)"]


def test_pages_are_laid_out_for_their_width(pages, visit):
    """Figures stand side by side on a desk, one below the other on a phone."""
    tops = {}
    for width in (WIDE, NARROW):
        page, _, _ = visit(pages["evaluation"], width, "light")
        tops[width] = page.evaluate("[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().top)")
    assert tops[WIDE][0] == tops[WIDE][1]
    assert tops[NARROW][0] < tops[NARROW][1]
