"""What an answer says of the ECGs: spans of seconds, leads, numbers that differ from the measured ones."""

import pytest

from anyecg.tasks.localization.parser import mentions
from anyecg.web.badge import alike, badge
from anyecg.web.said import disagreements, leads, spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Duration: 0.4s-3.7s, 4.6s-9.3s", [(0.4, 3.7), (4.6, 9.3)]),
        ("A wide beat at 3.2 s, and a run from 5 to 7.5 seconds.", [(3.2, 3.2), (5, 7.5)]),
        ("Beats at 1.2 s, 3.4 s and 5.6 s.", [(1.2, 1.2), (3.4, 3.4), (5.6, 5.6)]),
        ("No PVC Found", []),
        ("The QRS duration is 0.08-0.10 s and the rate 70-80 bpm.", []),
        ("Not at 2.0-3.0 s.", []),
        ("From 8 s to 14 s", [(8, 10)]),
        ("PR interval 160 ms, axis 30 degrees", []),
        ("Somewhere at 12.0 s", []),
    ],
)
def test_mentions(text, expected):
    found = mentions(text, 10.0)
    assert [(one.start, one.end) for one in found] == expected
    assert all(any(digit in text[slice(*one.span)] for digit in "0123456789") for one in found)


def test_a_span_belongs_to_the_ecg_that_is_named():
    text = "The first ECG is normal at 1.0-2.0 s; the second ECG shows a run at 3.0-4.0 s."
    assert [(span.ecg, span.start) for span in spans(text, [10.0, 10.0])] == [(0, 1.0), (1, 3.0)]
    assert [span.ecg for span in spans("Duration: 1.0s-2.0s", [10.0, 10.0])] == [1]
    assert spans("Duration: 12.0s-20.0s", [10.0, 30.0])[0].ecg == 1 and not spans("1.0s-2.0s", [])


def test_leads():
    assert leads("ST elevation in leads II, III and aVF, reciprocal in V1-V2") == ("II", "III", "aVF", "V1", "V2")
    assert leads("Sinus rhythm. I see nothing else.") == ()


def test_numbers_that_differ_are_said():
    measured = {"heart_rate": 72.0, "pr_interval": None, "qrs_duration": 92.0}
    assert not disagreements("Heart rate 74 bpm, QRS 95 ms, PR 210 ms", measured)
    found = disagreements("The heart rate is 110 bpm.", measured)
    assert found == ["heart rate: the answer says 110 bpm, measured 72 bpm"]
    assert "does not go with" in disagreements("Sinus tachycardia.", measured)[0]
    assert not disagreements("No sinus tachycardia.", measured)
    assert not disagreements("Duration: 0.4s-3.7s", measured)


def test_the_badge_tells_what_changed():
    assert alike("No PVC found.", "no pvc found") and not alike("1.0s-2.0s", "1.0s-2.5s")
    assert badge("a", "a", "a").kind == "both" and badge("a", "a", "b").kind == "blind"
    assert badge("a", "b", "a").kind == "other" and badge("a", "b", "c").kind == "looked"
    assert badge("a", "a", "b").warns and not badge("a", "b", "a").warns
    assert badge("Sinus rhythm", "sinus rhythm.", "AF").text == "unchanged without the ECG"
