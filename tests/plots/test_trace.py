"""ECGs on paper: scale, lines, leads that are there, and bars of truth and answer."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from anyecg.plots.trace import GAIN, LINE, MARGIN, SPEED, Beat, rhythm_leads, strips, twelve_leads
from anyecg.types import CANONICAL_LEADS


def draw(panel):
    axes = Figure().subplots()
    panel.draw(axes, panel.height, 1.0)
    return axes


def traces(axes, samples):
    return [line for line in axes.lines if len(line.get_xdata()) == samples]


def wave(leads, seconds):
    return np.stack([np.sin(np.arange(round(seconds * 100)) / 8 + lead) for lead in range(leads)])


def test_ten_seconds_are_a_line_at_25_mm_a_second_and_10_mm_a_millivolt():
    signal = wave(2, 10)
    axes = draw(strips(signal, ["II", "V1"]))
    for line, lead in zip(traces(axes, 1000), signal):
        assert np.diff(line.get_xdata()) == pytest.approx(SPEED / 100) and line.get_xdata()[0] == MARGIN
        assert np.ptp(line.get_ydata()) == pytest.approx(GAIN * np.ptp(lead))
    assert [text.get_text() for text in axes.texts if text.get_text() in CANONICAL_LEADS] == ["II", "V1"]


@pytest.mark.parametrize("seconds, lines, samples", [
    (2, 1, 200), (10.4, 1, 1040), (11, 1, 1100), (20.5, 1, 2050), (40.1, 2, 2005), (45, 3, 2000), (60, 3, 2000),
])  # fmt: skip
def test_what_is_longer_goes_on_on_the_next_line_without_scraps(seconds, lines, samples):
    axes = draw(strips(wave(1, seconds), ["II"]))
    drawn = [line for line in axes.lines if len(line.get_xdata()) > 100]
    assert len(drawn) == lines and len(drawn[0].get_xdata()) == pytest.approx(samples, abs=1)
    assert sum(len(line.get_xdata()) for line in drawn) == round(100 * seconds)
    assert all(line.get_xdata()[-1] <= MARGIN + 1.05 * LINE for line in drawn)


def test_lines_leads_and_lanes_do_not_touch():
    signal = wave(2, 30) * [[1.0], [2.0]]
    panel = strips(
        signal,
        ["II", "V1"],
        beats=[Beat(1.0, "N")],
        lanes={"truth": ([[1, 2], [19, 21]], "green"), "answer": (None, "red")},
    )
    axes = draw(panel)
    drawn = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) > 100]
    assert all(above.min() > below.max() for above, below in zip(drawn, drawn[1:]))  # noqa: RUF007
    assert axes.get_ylim() == (0, panel.height) and max(map(np.max, drawn)) < panel.height
    said = [text.get_text() for text in axes.texts]
    assert said.count("unreadable") == 2 and said.count("N") == 1


def test_the_clinical_page_has_a_quarter_of_each_lead_and_names_those_that_are_absent():
    signal, mask = wave(12, 10), np.ones(12, bool)
    mask[CANONICAL_LEADS.index("V4")] = False
    axes = draw(twelve_leads(signal, mask))
    quarters = traces(axes, 250)
    assert len(quarters) == 11 and len(traces(axes, 1000)) == 1
    avr = next(line for line in quarters if line.get_xdata()[0] == MARGIN + 2.5 * SPEED)
    lead = signal[CANONICAL_LEADS.index("aVR")]
    assert avr.get_ydata() - avr.get_ydata()[0] == pytest.approx(GAIN * (lead[250:500] - lead[250]), abs=1e-6)
    said = [text.get_text() for text in axes.texts]
    assert "V4 (absent)" in said and said.count("II") == 2


def test_rhythm_is_read_in_leads_that_are_there_and_not_flat():
    def chosen(signal, *leads):
        mask = np.isin(CANONICAL_LEADS, leads)
        return [CANONICAL_LEADS[lead] for lead in rhythm_leads(signal, mask)]

    signal = wave(12, 10)
    assert chosen(signal, *CANONICAL_LEADS) == ["II", "V1"]
    assert chosen(signal, "III", "V4") == ["III", "V4"] and chosen(signal, "aVL") == ["aVL"]
    signal[CANONICAL_LEADS.index("II")] = 0
    assert chosen(signal, *CANONICAL_LEADS) == ["V1", "V5"]
