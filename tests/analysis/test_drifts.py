"""Tables and heat-maps of drifts."""

import numpy as np
import pytest

from heurax.analysis import drift_figure, drift_table, published_drifts
from heurax.rules import NoDrift, PPOClip


def test_the_gradient_of_the_clip_is_the_advantage_outside_of_it():
    table = drift_table(PPOClip(0.2).drift(()), [0.5, 0.9, 1.0, 1.5], [-2.0, 1.0], [0.0, 1.0])
    assert list(table.columns) == ["ratio", "advantage", "progress", "drift", "gradient"]
    assert len(table) == 16
    outside = ((table.ratio == 1.5) & (table.advantage > 0)) | ((table.ratio == 0.5) & (table.advantage < 0))
    np.testing.assert_allclose(table.gradient, np.where(outside, table.advantage, 0.0), rtol=1e-6)
    np.testing.assert_allclose(table.drift[outside & (table.progress == 0)], [0.6, 0.3], rtol=1e-5)


def test_every_drift_has_a_column_of_two_heat_maps(tmp_path):
    figure = drift_figure({"none": NoDrift().drift(())} | published_drifts())
    panels = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in panels] == ["none", "PPO", "DPO"]
    assert len(figure.axes) == 12  # six panels, six colour bars
    figure.savefig(tmp_path / "drifts.png")
    assert (tmp_path / "drifts.png").stat().st_size > 10_000


def test_values_out_of_range_are_refused():
    with pytest.raises(ValueError, match="ratios must be > 0, got 0"):
        drift_table(NoDrift().drift(()), [0.0, 1.0])
    with pytest.raises(ValueError, match="drifts must hold at least one drift, got none"):
        drift_figure({})
    with pytest.raises(ValueError, match=r"max_ratio must be > 1 and max_advantage > 0, got 2\.0 and 0\.0"):
        drift_figure(published_drifts(), max_advantage=0.0)
