"""Performance profiles as a figure."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from heurax.analysis.style import legend, line_styles, log_axis, new_figure
from heurax.evaluation import Profile

__all__ = ["profile_figure"]


def profile_figure(profile: Profile, names: Sequence[str]) -> Figure:
    """For each optimizer, the share of tasks on which it is at most a factor slower than the fastest.

    Args:
        profile: of `heurax.evaluation.performance_profile`.
        names: of the optimizers, in its order; the first is the learned one.

    Raises:
        ValueError: their number is another.
    """
    if len(names) != len(profile.fraction):
        raise ValueError(f"names must be as many as the profile has optimizers, {len(profile.fraction)}, got {names}")
    figure, panels = new_figure()
    axes = panels[0, 0]
    for place, (fraction, style) in enumerate(zip(profile.fraction, line_styles(names).values(), strict=True)):
        axes.step(profile.tau, fraction, where="post", label=names[place], lw=2.2 if place == 0 else 1.4, **style)
    log_axis(axes, "x", 1.0, profile.tau.max())
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set(xlabel="time to target, relative to the fastest", ylabel="share of tasks", ylim=(-0.03, 1.03))
    legend(axes)
    return figure
