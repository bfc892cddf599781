"""What the page shows: escaped, with spans as buttons, the badge in its colour; and what is kept of it."""

import json

import numpy as np
import pytest

from anyecg.session import Reading
from anyecg.types import InputSpec
from anyecg.web.conversation import Conversation
from anyecg.web.document import to_json, to_pdf, to_png
from anyecg.web.ecgs import Shown, View, given
from anyecg.web.render import banner, conversation_html, ecg_html
from tests.web.scripted import ABOUT, ScriptedSession, desk, record, spoilt

EVIL = '<img src=x onerror="alert(1)">'


@pytest.fixture
def talk(monkeypatch):
    monkeypatch.setattr(ScriptedSession, "answers", {"Where": f"Duration: 2.0s-3.0s {EVIL}"})
    monkeypatch.setattr(ScriptedSession, "blind", f"Duration: 2.0s-3.0s {EVIL}")
    made = Conversation(desk(monkeypatch))
    made.add(Shown(record(), "2026-05-01"))
    [*made.ask(f"Where is {EVIL}?")]
    return made


def test_a_conversation_is_escaped_and_warns(talk):
    html = conversation_html(talk.exchanges, ABOUT)
    assert EVIL not in html and "&lt;img" in html
    assert 'data-ecg="0" data-from="2" data-to="3"' in html and ">2.0s-3.0s</button>" in html
    assert 'class="ecg-badge red"><summary>unchanged without the ECG</summary>' in html
    assert ABOUT.caution in html and "Not a medical device" in banner(ABOUT)


def test_an_ecg_says_what_it_is_and_what_the_model_gets():
    shown = Shown(record(seconds=70, leads=("II", "V1")))
    html = ecg_html(0, shown, View(), InputSpec(), Reading(), spans=[(2.0, 3.0)], lit=["V1"])
    assert "70.0 s at 500 Hz" in html and "25 mm/s, 10 mm/mV" in html and "shown: 0 to 30 s" in html
    assert "100 Hz, 2 of 12 leads, 6 x 10 s, each lead scaled by itself" in html
    assert "Only the first 60 s of 70 s" in html and "not measurable" in html and 'data-span="0"' in html
    assert "scaled as 'millivolt'" in given(shown, InputSpec(scaling="millivolt"), Reading())


def test_notes_and_issues_are_shown():
    made = spoilt(lambda signal: signal.__setitem__(3, 0.0))
    made = type(made)(made.signal, made.fs, made.leads, made.id, made.patient, notes=(f"left out {EVIL}",))
    html = ecg_html(0, Shown(made), View(), InputSpec(), Reading())
    assert "aVR: flat, no signal" in html and EVIL not in html and "left out &lt;img" in html


def test_the_json_has_everything_but_names(talk):
    kept = json.loads(json.dumps(to_json(talk.exchanges, talk.ecgs, ABOUT)))
    [exchange] = kept["exchanges"]
    assert exchange["spans"] == [{"ecg": 1, "start": 2.0, "end": 3.0}] and exchange["answer"].startswith("Duration")
    assert exchange["without_the_ecg"]["verdict"] == "unchanged without the ECG"
    assert kept["model"] == {"name": "toy", "id": "abc123", "trained_on_simulated_ecgs": True}
    assert kept["ecgs"][0]["date"] == "2026-05-01" and 50 < kept["ecgs"][0]["measured"]["heart_rate"] < 110
    assert "research only" in kept["disclaimer"]


def test_the_pdf_is_one_page(talk):
    pypdfium2 = pytest.importorskip("pypdfium2")
    talk.exchanges *= 40
    document = pypdfium2.PdfDocument(to_pdf(talk.exchanges, talk.ecgs, ABOUT, View()))
    text = document[0].get_textpage().get_text_range()
    assert len(document) == 1 and "For research only" in text and "2.0s-3.0s" in text
    assert "toy (abc123)" in text and "the page is full" in text and "2026-05-01" in text


def test_the_png_has_the_span(talk, tmp_path):
    from PIL import Image

    for name, spans in (("with", talk.exchanges[0].spans), ("without", [])):
        talk.exchanges[0].spans = spans
        to_png(tmp_path / f"{name}.png", talk.exchanges[0], talk.ecgs, ABOUT, View())
    one, other = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"), int) for name in ("with", "without"))
    changed = np.abs(one - other).sum(axis=2) > 20
    assert one.shape == other.shape and 0.01 < changed.mean() < 0.2
