"""Sheets of ECG paper: panels in rows at one scale, none over another."""

import numpy as np
import pytest

from anyecg.plots.sheet import sheet
from anyecg.plots.trace import twelve_leads


def test_panels_lie_in_rows_at_one_scale():
    rng = np.random.default_rng(0)
    panels = [
        (f"{number}", twelve_leads(rng.normal(0, size, (12, 1000)), np.ones(12, bool), rhythm=False))
        for number, size in enumerate((0.1, 1.0, 0.1))
    ]
    figure = sheet(panels, columns=2, width=100.0)
    boxes = [axes.get_position() for axes in figure.axes]
    inches = figure.get_size_inches()
    for (_, panel), box in zip(panels, boxes):
        assert (box.width * inches[0], box.height * inches[1]) == pytest.approx(
            (100 / 25.4, 100 / 25.4 * panel.height / panel.width)
        )
    assert boxes[0].x1 < boxes[1].x0 and boxes[2].y1 < min(boxes[0].y0, boxes[1].y0)
    assert boxes[2].y0 > 0 and boxes[1].x1 < 1 and boxes[0].y1 < 1


def test_a_page_without_its_rhythm_strip_is_lower():
    signal = np.random.default_rng(0).normal(0, 0.3, (12, 1000))
    assert twelve_leads(signal, np.ones(12, bool), rhythm=False).height < twelve_leads(signal, np.ones(12, bool)).height
