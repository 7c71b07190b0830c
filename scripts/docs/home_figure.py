"""The figure on the site's home page: what heurax does, with curves that were measured as it is drawn.

Four meta-parameters, the hyper-parameters of Adam, are meta-trained on quadratics, and lifetimes under them are drawn
before, on the way and after. `python -m scripts.docs.home_figure` writes `docs/figures/home-light.svg` and
`home-dark.svg`.
"""

from pathlib import Path

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from heurax.inner import SupervisedTraining, train
from heurax.outer import Descent, OuterOptimizer, PersistentES
from heurax.rules import LearnableAdam
from heurax.tasks import Quadratic

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"
STEPS = (0, 60, 300)
"""Outer steps after which lifetimes are shown."""
COLOURS = {
    "light": {"ink": "#22313a", "faint": "#90a4ae", "accent": "#00897b", "panel": "#f3f6f7"},
    "dark": {"ink": "#e6edf0", "faint": "#78909c", "accent": "#4db6ac", "panel": "#263238"},
}


def measure() -> tuple[list[np.ndarray], list[float]]:
    """Losses of sixteen lifetimes, and the learning rate, after each number of outer steps."""
    inner = SupervisedTraining(LearnableAdam(learning_rate=1e-3), Quadratic(dimension=10), num_steps=25)
    outer = Descent(
        PersistentES(num_tasks=32, window=5, sigma=0.03),
        OuterOptimizer(learning_rate=0.1, warmup_steps=0),
        num_steps=STEPS[-1],
    )
    keys = jax.random.split(jax.random.key(1), 16)
    live = jax.jit(jax.vmap(lambda theta, key: train(inner, theta, key).loss, (None, 0)))
    step = jax.jit(lambda state: outer.step(inner, state)[0])
    state = jax.jit(lambda key: outer.init(inner, key))(jax.random.key(0))
    losses, rates = [], []
    for number in range(STEPS[-1] + 1):
        if number in STEPS:
            losses.append(np.asarray(live(state.theta, keys)))
            rates.append(float(np.exp(state.theta["log_learning_rate"])))
        state = step(state)
    return losses, rates


def draw(losses: list[np.ndarray], rates: list[float], colours: dict[str, str]) -> Figure:
    """Rule, lifetimes and what comes out, from left to right, with the outer loop below."""
    figure = plt.figure(figsize=(10, 4))
    canvas = figure.add_axes((0, 0, 1, 1), xlim=(0, 10), ylim=(0, 4))
    canvas.axis("off")
    _box(
        canvas,
        (0.15, 1.45),
        1.75,
        1.55,
        "Rule",
        "with meta-parameters θ\n\na learned optimizer,\na drift, an objective",
        colours,
    )
    _box(
        canvas,
        (8.1, 1.45),
        1.75,
        1.55,
        "Artifact",
        "JSON and numbers\n\nan optax transformation,\na pure function",
        colours,
    )
    for index, (panel, rate) in enumerate(zip(losses, rates, strict=True)):
        axes = figure.add_axes((0.245 + 0.182 * index, 0.395, 0.15, 0.33))
        axes.plot(panel.T, color=colours["accent"], lw=0.8, alpha=0.45)
        axes.plot(panel.mean(0), color=colours["ink"], lw=1.8)
        axes.set_ylim(0, max(x.max() for x in losses) * 1.05)
        title = f"{STEPS[index]} outer steps" if index else "before"
        axes.set_title(f"{title}\nlearning rate {rate:.2g}", fontsize=9, color=colours["ink"])
        axes.tick_params(which="both", left=False, bottom=False, labelleft=False, labelbottom=False)
        axes.patch.set_facecolor(colours["panel"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(colours["faint"])
    canvas.text(
        5,
        3.72,
        "Inner loop: sixteen lifetimes of a learner, loss over steps",
        ha="center",
        fontsize=11,
        color=colours["ink"],
    )
    _arrow(canvas, (1.95, 2.2), (2.38, 2.2), colours["ink"])
    _arrow(canvas, (7.65, 2.2), (8.05, 2.2), colours["ink"])
    outer = "Outer loop: lifetimes are judged; an estimator or an evolution strategy moves θ"
    canvas.text(5, 0.42, outer, ha="center", fontsize=11, color=colours["accent"])
    canvas.plot([7.4, 7.4, 1.02], [1.4, 0.8, 0.8], color=colours["accent"], lw=2, solid_capstyle="round")
    _arrow(canvas, (1.02, 0.79), (1.02, 1.4), colours["accent"])
    return figure


def _box(
    canvas: Axes, corner: tuple[float, float], width: float, height: float, title: str, text: str, colours: dict
) -> None:
    box = FancyBboxPatch(
        corner,
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.12",
        fc=colours["panel"],
        ec=colours["accent"],
        lw=1.5,
    )
    canvas.add_patch(box)
    centre = corner[0] + width / 2
    canvas.text(
        centre,
        corner[1] + height - 0.3,
        title,
        ha="center",
        va="center",
        fontsize=13,
        weight="bold",
        color=colours["ink"],
    )
    canvas.text(centre, corner[1] + height - 0.52, text, ha="center", va="top", fontsize=9, color=colours["ink"])


def _arrow(canvas: Axes, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    canvas.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    )


def main() -> None:
    """Measure, and draw the figure in light and in dark."""
    losses, rates = measure()
    with mpl.rc_context({"svg.hashsalt": "heurax", "svg.fonttype": "path"}):
        for name, colours in COLOURS.items():
            figure = draw(losses, rates, colours)
            figure.savefig(FIGURES / f"home-{name}.svg", transparent=True, metadata={"Date": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
