"""Where leads stand on paper, and that the SVG draws the file's own millivolts there."""

import re

import numpy as np
import pytest

from anyecg.plots.layout import lay_out
from anyecg.plots.svg import sheet_svg
from anyecg.simulate import ecg
from anyecg.types import CANONICAL_LEADS, DataError

SIGNAL, ALL = ecg(["sinus_rhythm"], seconds=10, fs=500, seed=1)[0], np.ones(12, bool)


def names(layout, line):
    return [CANONICAL_LEADS[cell.lead] for cell in layout.cells if cell.line == line]


def test_the_clinical_page():
    layout = lay_out(SIGNAL, ALL, 500.0)
    assert [names(layout, line) for line in range(4)] == [
        ["I", "aVR", "V1", "V4"],
        ["II", "aVL", "V2", "V5"],
        ["III", "aVF", "V3", "V6"],
        ["II"],
    ]
    assert [(cell.start, cell.end) for cell in layout.cells[:4]] == [(0, 2.5), (2.5, 5), (5, 7.5), (7.5, 10)]
    assert layout.x(10) - layout.x(0) == pytest.approx(250) and layout.speed == 25 and layout.gain == 10


@pytest.mark.parametrize(("name", "lines"), [("6x2", 6), ("12x1", 12)])
def test_other_layouts(name, lines):
    layout = lay_out(SIGNAL, ALL, 500.0, layout=name, speed=50.0)
    assert len(layout.lines) == lines and layout.x(10) - layout.x(0) == pytest.approx(500)
    with pytest.raises(DataError, match="one of 3x4, 6x2, 12x1"):
        lay_out(SIGNAL, ALL, 500.0, layout="4x3")


def test_few_leads_and_long_records_stand_under_each_other():
    mask = np.isin(CANONICAL_LEADS, ["II", "V1"])
    long = np.tile(SIGNAL, 9)
    layout = lay_out(long, mask, 500.0, start=85.0)
    assert [names(layout, 0), names(layout, 1)] == [["II"], ["V1"]] and len(layout.lines) == 2
    assert (layout.start, layout.end) == (60.0, 90.0)
    assert lay_out(long, ALL, 500.0, start=12.0).cells[0].start == 12.0


def test_spans_are_where_their_seconds_are_shown():
    layout = lay_out(SIGNAL, ALL, 500.0)
    parts = layout.parts(2.0, 3.0)
    assert {(CANONICAL_LEADS[cell.lead], first, last) for cell, first, last in parts} == {
        ("I", 2.0, 2.5), ("aVR", 2.5, 3.0), ("II", 2.0, 2.5), ("aVL", 2.5, 3.0), ("III", 2.0, 2.5), ("aVF", 2.5, 3.0), ("II", 2.0, 3.0)
    }  # fmt: skip
    assert layout.parts(4.0, 4.0) and not layout.parts(11.0, 12.0)


def points(svg, lead):
    path = re.search(rf'data-lead="{lead}" d="([^"]*)"', svg)[1]
    return np.array([[float(number) for number in pair.split()] for pair in re.split("[ML]", path)[1:]])


def test_the_svg_draws_the_millivolts_of_the_file():
    layout = lay_out(SIGNAL, ALL, 500.0, layout="12x1", gain=20.0)
    svg = sheet_svg(SIGNAL, 500.0, layout)
    drawn, cell = points(svg, "V2"), layout.cells[CANONICAL_LEADS.index("V2")]
    row = SIGNAL[CANONICAL_LEADS.index("V2")]
    mv = (layout.lines[cell.line].base - drawn[:, 1]) / 20.0
    assert len(drawn) == 5000 and np.abs(mv - (row - np.median(row))).max() < 0.001
    assert drawn[2500, 0] - drawn[0, 0] == pytest.approx(125.0, abs=0.02)
    assert svg.count('class="pulse"') == 12 and "v-20h5v20" in svg


def test_gaps_break_the_line_and_hidden_leads_are_said():
    signal = SIGNAL.copy()
    signal[1, 100:200] = np.nan
    svg = sheet_svg(signal, 500.0, lay_out(signal, ALL, 500.0, layout="12x1", hidden=("V6",)))
    path = re.search(r'data-lead="II" d="([^"]*)"', svg)[1]
    assert path.count("M") == 2 and "nan" not in svg and 'data-lead="V6"' not in svg
    assert "V6 (not shown)" in sheet_svg(signal, 500.0, lay_out(signal, ALL, 500.0, hidden=("V6",)))


def test_spans_and_leads_light_up():
    layout = lay_out(SIGNAL, ALL, 500.0)
    svg = sheet_svg(SIGNAL, 500.0, layout, spans=[(2.0, 3.0), (8.0, 8.0)], lit=["V1"])
    assert svg.count('data-span="0"') == 7 and svg.count('data-span="1"') == 4
    assert "<title>2 to 3 s</title>" in svg and svg.count('class="lit"') == 1


def test_very_many_samples_keep_their_peaks():
    signal = np.zeros((12, 50_000), np.float32)
    signal[1, 20_001] = 1.0
    layout = lay_out(signal, np.isin(CANONICAL_LEADS, ["II"]), 10_000.0)
    drawn = points(sheet_svg(signal, 10_000.0, layout), "II")
    assert len(drawn) < 7_000 and (layout.lines[0].base - drawn[:, 1]).max() == pytest.approx(10.0)
