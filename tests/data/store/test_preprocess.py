"""Preprocessing: leads by name, 100 Hz over the whole record, broken samples, clips."""

import numpy as np
import pytest

from anyecg.data.store.preprocess import ALIASES, canonical, lead_rows
from anyecg.types import CANONICAL_LEADS, DataError
from tests.data.native import beat_train, record


@pytest.mark.parametrize("fs", [100, 128, 250, 257, 360, 499.5, 500, 1000])
def test_length_follows_seconds_not_samples(fs):
    signal, _, _ = canonical(record(beat_train(10.0, fs), fs))
    assert signal.shape == (12, 1000) and signal.dtype == np.float32


def test_resampling_keeps_the_wave():
    time = np.arange(5000) / 500
    wave = np.sin(2 * np.pi * 7 * time) + 3.0  # far from zero: an edge padded with zeros would ring
    signal, _, _ = canonical(record([wave], 500.0, ("II",)))
    expected = np.sin(2 * np.pi * 7 * np.arange(1000) / 100) + 3.0
    assert np.abs(signal[1] - expected)[20:-20].max() < 5e-3
    assert np.abs(signal[1] - expected).max() < 0.5


def test_100_hz_is_untouched():
    wave = beat_train(10.0, 100.0)
    assert np.array_equal(canonical(record(wave))[0][[1, 6]], wave)


def test_leads_by_name_in_any_order_and_case():
    rows = np.arange(12)[:, None] * np.ones((1, 200))
    names = [name.upper() if k % 2 else name.lower() for k, name in enumerate(CANONICAL_LEADS)]
    order = np.random.default_rng(0).permutation(12)
    signal, mask, _ = canonical(record(rows[order], leads=[names[k] for k in order]))
    assert mask.all() and np.array_equal(signal[:, 0], np.arange(12))


def test_aliases():
    assert set(ALIASES.values()) <= set(CANONICAL_LEADS)
    # the second lead III is not taken again
    assert lead_rows(("MLIII", "D3", "V7", "Resp")) == ({2: 0}, ["V7", "Resp"])
    assert lead_rows(("ECG", "ECG", "ECG"), ("II", "V1")) == ({1: 0, 6: 1}, ["ECG"])


@pytest.mark.parametrize(
    ("lead", "names"),
    [
        (
            "I",
            ["I", "i", "Lead I", "LEAD_I", "DI", "D1", "ECG I", "EKG I", "MLI", "MDC_ECG_LEAD_I", "Lead I (Einthoven)"],
        ),
        ("II", ["ii", "lead II", "LeadII", "DII", "D2", "ECG II", "EKG II", "ecg_lead_ii", "MLII", " II "]),
        ("III", ["iii", "MLIII", "D3", "Diii", "ECG Lead III"]),
        ("aVR", ["aVR", "AVR", "avr", "ECG aVR", "Lead aVR", "MDC_ECG_LEAD_AVR"]),
        ("aVL", ["AVL", "a VL"]),
        ("aVF", ["AVF", "aVf", "EKG aVF"]),
        ("V1", ["V1", "v1", "V 1", "V_1", "ECG V1", "MCL1", "MV1"]),
        ("V5", ["V5", "v_5", "CM5", "Lead V5"]),
        ("V6", ["V6", "V 6", "EKG_V6"]),
    ],
)
def test_what_sources_call_a_lead(lead, names):
    for name in names:
        assert lead_rows((name,)) == ({CANONICAL_LEADS.index(lead): 0}, []), name


@pytest.mark.parametrize(
    "name",
    [
        "-aVR",
        "V7",
        "V3R",
        "V12",
        "IV",
        "ECG 3",
        "Lead",
        "Lead 7",
        "PLETH",
        "ART",
        "Resp",
        "",
        "X",
        "I-II",
        "VV1",
        "EEG Fp1",
        "MDC",
    ],
)
def test_unknown_leads_are_reported_as_they_are_called(name):
    assert lead_rows(("II", name)) == ({1: 0}, [name])


def test_leads_that_are_only_called_ecg():
    assert lead_rows(("EKG", "ecg 2", "EKG1"), ("II", "V1")) == ({1: 0, 6: 1}, ["EKG1"])
    assert lead_rows(("EKG", "ecg 2")) == ({}, ["EKG", "ecg 2"])  # nobody has said what they are


def test_one_broken_sample_does_not_cost_the_lead():
    wave = beat_train(10.0, 500.0)
    spoilt = wave.copy()
    spoilt[0, 1234] = np.nan
    spoilt[1, :3] = np.inf
    whole, _, none = canonical(record(wave, 500.0))
    mended, mask, broken = canonical(record(spoilt, 500.0))
    assert (none, broken) == (0, 4) and mask[[1, 6]].all()
    assert np.abs(mended - whole).max() < 0.15 and np.isfinite(mended).all()


def test_absent_flat_and_broken_leads_are_told_apart():
    wave = beat_train(10.0, 100.0, leads=3)
    wave[1] = 0.7  # flat
    wave[2] = np.nan  # broken
    signal, mask, broken = canonical(record(wave, leads=("I", "II", "III")))
    assert mask.tolist() == [True, True, False] + [False] * 9 and broken == 0
    assert np.allclose(signal[1], 0.7) and not signal[2:].any()


@pytest.mark.parametrize(
    ("signal", "fs", "leads", "message"),
    [
        (np.zeros((2, 100)), 100.0, ("Resp", "V9"), "none of its leads is known .Resp, V9"),
        (np.full((2, 100), np.nan), 100.0, ("II", "V1"), "no lead has enough valid samples"),
        (np.zeros((2, 0)), 100.0, ("II", "V1"), "0 samples"),
        (np.zeros((2, 100)), 0.0, ("II", "V1"), "0.0 Hz"),
        (np.zeros((2, 1)), 500.0, ("II", "V1"), "shorter than one sample"),
    ],
)
def test_nothing_to_see(signal, fs, leads, message):
    with pytest.raises(DataError, match=message):
        canonical(record(signal, fs, leads))


def broken_where(seconds, *gaps, fs=100.0):
    """Whether lead I of a record with these gaps, (start, end) in s, is taken as absent beside a sound lead II, and
    how many samples are interpolated.
    """
    wave = beat_train(seconds, fs)
    for start, end in gaps:
        wave[0, round(start * fs) : round(end * fs)] = np.nan
    signal, mask, interpolated = canonical(record(wave, fs, ("I", "II")), 100.0)
    assert mask[1] and np.isfinite(signal).all() and (mask[0] or not signal[0].any())
    return not mask[0], interpolated


@pytest.mark.parametrize("fs", [100.0, 500.0])
def test_a_lead_is_present_where_enough_of_it_is_valid(fs):
    def blinks(share):
        return [(n / 10, n / 10 + share / 10) for n in range(100)]

    assert broken_where(10, (0.1, 10), fs=fs) == (True, 0)  # what was one valid sample, and a straight line
    assert broken_where(10, (3, 4), fs=fs) == (False, fs)  # a second
    assert broken_where(10, (3, 4.1), fs=fs) == (True, 0)  # in which a beat could lie
    assert broken_where(10, (0, 1.1), fs=fs)[0] and broken_where(10, (8.9, 10), fs=fs)[0]  # at either end, too
    # short gaps, but more gap than signal
    assert not broken_where(10, *blinks(0.4), fs=fs)[0] and broken_where(10, *blinks(0.6), fs=fs) == (True, 0)
    # a long record is not given up for one gap
    assert not broken_where(600, (100, 125), fs=fs)[0] and broken_where(600, (100, 135), fs=fs)[0]


@pytest.mark.parametrize("source", [128.0, 250.0, 257.0, 360.0, 500.0, 1000.0])
@pytest.mark.parametrize("fs", [100.0, 250.0, 500.0])
def test_every_rate_becomes_every_rate(source, fs):
    for seconds in (2.5, 10.0, 31.0):
        samples = round(seconds * source)
        wave = np.sin(2 * np.pi * 5 * np.arange(samples) / source)
        signal, _, _ = canonical(record([wave], source, ("II",)), fs)
        assert signal.shape == (12, round(samples * fs / source))
        expected = np.sin(2 * np.pi * 5 * np.arange(signal.shape[1]) / fs)
        inside = slice(round(0.2 * fs), -round(0.2 * fs))
        assert np.abs(signal[1] - expected)[inside].max() < 0.02
