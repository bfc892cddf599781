"""What is seen to be wrong with a recording, and that nothing is of a good one."""

import numpy as np
import pytest

from anyecg.web.ecgs import Shown
from anyecg.web.quality import beats
from tests.web.scripted import record, spoilt

FS = 500.0


def kinds(made):
    return {issue.kind for issue in Shown(made).issues}


@pytest.mark.parametrize(
    "findings", [["sinus_rhythm"], ["atrial_fibrillation"], ["left_bundle_branch_block"], ["sinus_tachycardia"]]
)
def test_a_good_recording_has_no_issue(findings):
    assert not kinds(record(findings))


def flat(signal):
    signal[6] = 0.3


def lost(signal):
    signal[1, 2000:3500] = signal[1, 2000]


def clipped(signal):
    np.clip(signal[7], -0.4, 0.4, out=signal[7])


def noisy(signal):
    signal[8] += np.random.default_rng(0).normal(0, 0.15, signal.shape[1])


def wandering(signal):
    signal[9] += 1.5 * np.sin(np.arange(signal.shape[1]) / 500.0)


def exchanged(signal):
    """The electrodes of the arms: I turns, II and III change places, aVR and aVL too."""
    signal[:6] = np.stack([-signal[0], signal[2], signal[1], signal[4], signal[3], signal[5]])


def turned(signal):
    signal[2] *= -1


@pytest.mark.parametrize(
    ("change", "kind", "lead"),
    [
        (flat, "flat", "V1"),
        (lost, "lost", "II"),
        (clipped, "clipped", "V2"),
        (noisy, "noisy", "V3"),
        (wandering, "baseline", "V4"),
        (exchanged, "electrodes", "I"),
        (turned, "limb leads", "III"),
    ],
)
def test_a_fault_is_named_with_its_leads(change, kind, lead):
    found = [issue for issue in Shown(spoilt(change)).issues if issue.kind == kind]
    assert found and lead in found[0].leads and lead in found[0].text


@pytest.mark.parametrize(
    "change",
    [
        lambda signal: signal.__setitem__(slice(None), np.random.default_rng(1).normal(0, 0.2, signal.shape)),
        lambda signal: signal.__setitem__(slice(None), np.sin(np.arange(signal.shape[1]) / 20.0)),
        lambda signal: signal.__setitem__(slice(None), np.linspace(-1, 1, signal.shape[1])),
        lambda signal: signal.__setitem__(slice(None), 0.1),
    ],
    ids=["noise", "sine", "ramp", "constant"],
)
def test_what_is_no_ecg_is_said_to_be_none(change):
    assert "no ECG" in kinds(spoilt(change))


def test_beats_are_found_where_they_are():
    made = record(["sinus_rhythm"], seconds=20)
    from anyecg.simulate import ecg

    true = [time for time, _ in ecg(["sinus_rhythm"], seconds=20, fs=FS, seed=3)[1]]
    found = beats(Shown(made).signal, FS) / FS
    assert len(found) == len(true) and np.abs(found - true).max() < 0.06


def test_a_tall_wide_beat_hides_no_usual_one():
    """A ventricular beat many times as tall as the others must not be the measure of what a beat is."""
    time = np.arange(10 * FS) / FS
    wave = sum(0.55 * np.exp(-0.5 * ((time - at) / 0.012) ** 2) for at in np.arange(10) + 0.5 if at != 4.5)
    wave = wave + 4.5 * np.exp(-0.5 * ((time - 4.5) / 0.03) ** 2) - 3 * np.exp(-0.5 * ((time - 4.62) / 0.04) ** 2)
    assert len(beats(np.stack([wave, 0.7 * wave]).astype(np.float32), FS)) == 10
