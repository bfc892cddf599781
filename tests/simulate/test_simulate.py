"""The simulator: physics of the leads, truth of the words, native files."""

import ast
import json

import numpy as np
import pandas as pd
import pytest
import wfdb

from anyecg.findings import FINDINGS, find
from anyecg.simulate import ecg, simulate, simulators
from anyecg.simulate.beat import Anatomy, end, normal_beat, onset
from anyecg.simulate.faults import Faults
from anyecg.simulate.heart import DOWER, LEADS, dipole, leads
from anyecg.simulate.record import record
from anyecg.types import ConfigError, DataError

REGIONS = {"inferior": ("II", "III", "aVF"), "anterior": ("V2", "V3"), "lateral": ("I", "V5", "V6")}
KEYS = [finding.key for finding in FINDINGS if finding.kind != "summary"]


def heart(*findings, seed=0, seconds=10.0, fs=500):
    """A record with little noise."""
    rng = np.random.default_rng(seed)
    return record(findings, Anatomy.draw(rng), Faults(0.0, 0.001), seconds, fs, rng)


def beat(*findings, anatomy=Anatomy()):  # noqa: B008
    """`[12, 1000]` the QRS, ST and T of one beat at 1 s, 500 Hz, and its waves."""
    waves = normal_beat(frozenset(findings), anatomy, 0.85)
    drawn = dipole([wave for wave in waves if wave.part != "P"], np.array([1.0]), np.ones(1), 500.0, 1000)
    return leads(DOWER @ drawn), waves


def lead(signal, name):
    return signal[LEADS.index(name)]


@pytest.mark.parametrize("key", KEYS)
def test_einthoven_and_goldberger(key):
    signal, beats, _ = ecg([key], seed=1)
    one, two = lead(signal, "I"), lead(signal, "II")
    assert signal.shape == (12, 5000) and signal.dtype == np.float32 and beats
    for name, expected in (
        ("III", two - one),
        ("aVR", -(one + two) / 2),
        ("aVL", one - two / 2),
        ("aVF", two - one / 2),
    ):
        np.testing.assert_allclose(lead(signal, name), expected, atol=1e-5)


@pytest.mark.parametrize("key", KEYS)
def test_the_report_says_what_was_asked_for(key):
    for seed in range(4):
        _, _, report = ecg([key], seed=seed)
        assert key in find(", ".join(report))


def test_the_same_seed_gives_the_same_ecg():
    assert np.array_equal(ecg(["atrial_fibrillation"], seed=4)[0], ecg(["atrial_fibrillation"], seed=4)[0])
    with pytest.raises(KeyError):
        ecg(["atrial_fibrilation"])


@pytest.mark.parametrize(
    ("key", "low", "high"), [("sinus_bradycardia", 35, 60), ("sinus_rhythm", 60, 100), ("sinus_tachycardia", 100, 150)]
)
def test_rate(key, low, high):
    for seed in range(5):
        times = np.array([second for second, _ in ecg([key], seed=seed)[1]])
        assert low < 60 / np.diff(times).mean() < high


def test_fibrillation_is_irregular_and_has_no_p_wave():
    spread = {}
    for key in ("sinus_rhythm", "atrial_fibrillation"):
        drawn = heart(key, seconds=30.0)
        spread[key] = np.diff(drawn.times).std() / np.diff(drawn.times).mean()
        assert any(wave.part == "P" for wave in drawn.beat) == (key == "sinus_rhythm")
    assert spread["sinus_rhythm"] < 0.05 < 0.15 < spread["atrial_fibrillation"]


def test_flutter_waves_are_near_300_a_minute():
    drawn = heart("atrial_flutter", seconds=30.0)
    foot = lead(drawn.clean, "aVF")
    power = np.abs(np.fft.rfft(foot - foot.mean())) ** 2
    rate = np.fft.rfftfreq(len(foot), 1 / 500)
    near = power[(rate > 4.4) & (rate < 5.6)]
    assert near.max() > 10 * np.median(power[(rate > 4) & (rate < 6)])


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("sinus_rhythm", 0.07, 0.11),
        ("left_bundle_branch_block", 0.12, 0.18),
        ("right_bundle_branch_block", 0.12, 0.18),
        ("left_anterior_fascicular_block", 0.07, 0.12),
    ],
)
def test_qrs_width(key, low, high):
    signal, waves = beat(key)
    assert low < end(waves) - onset(waves) < high
    size = np.abs(signal[:, 450:560]).max(axis=0)
    active = np.flatnonzero(size > 0.12 * size.max())
    assert low - 0.03 < (active[-1] - active[0]) / 500 < high + 0.03


def test_bundle_branch_blocks_look_like_themselves():
    left, _ = beat("left_bundle_branch_block")
    right, waves = beat("right_bundle_branch_block")
    qrs = slice(440, 535)
    assert lead(left, "V1")[qrs].min() < -1 and lead(left, "V1")[qrs].max() < 0.1  # deep S, no r
    assert lead(left, "V6")[qrs].max() > 1 and lead(left, "V6")[qrs].min() > -0.1  # broad R, no q
    late = slice(int(500 * (1 + end(waves) - 0.06)), int(500 * (1 + end(waves))))
    assert lead(right, "V1")[late].max() > 0.5 and lead(right, "V6")[late].min() < -0.2  # R', and a wide S


def test_pr_interval():
    for key, low, high in (("sinus_rhythm", 0.12, 0.2), ("first_degree_av_block", 0.2, 0.32)):
        waves = normal_beat({key}, Anatomy(), 0.85)
        assert low < onset(waves) - onset(waves, "P") < high


@pytest.mark.parametrize("key", [key for key in KEYS if key.startswith(("st_", "t_inv"))])
def test_regional_findings_lie_in_the_leads_of_their_region_only(key):
    change, region = key.rsplit("_", 1)
    for seed in range(6):
        signal, waves = beat(key, anatomy=Anatomy.draw(np.random.default_rng(seed)))
        st = signal[:, int(500 * (1.03 + end(waves)))]
        t = signal[:, int(500 * (1 + next(wave.at for wave in waves if wave.part == "T")))]
        for other, names in REGIONS.items():
            index = [LEADS.index(name) for name in names]
            assert (st[index] > 0.1).all() == (change == "st_elevation" and other == region)
            assert (st[index] < -0.05).all() == (change == "st_depression" and other == region)
            assert (t[index] < -0.05).all() == (change == "t_inversion" and other == region)


def test_normal_r_wave_grows_across_the_chest():
    signal, _ = beat("sinus_rhythm")
    r = [lead(signal, f"V{n}")[440:560].max() for n in range(1, 6)]
    s = [lead(signal, f"V{n}")[440:560].min() for n in range(1, 7)]
    assert r == sorted(r) and s[1] < s[3] < s[5]
    assert all(lead(signal, name)[600:700].max() > 0.1 for name in ("II", "V2", "V3", "V4", "V5", "V6"))


def test_axis_and_infarct():
    for key, sign_one, sign_foot in (
        ("left_axis_deviation", 1, -1),
        ("right_axis_deviation", -1, 1),
        ("left_anterior_fascicular_block", 1, -1),
    ):
        signal, _ = beat(key)
        for name, sign in (("I", sign_one), ("aVF", sign_foot)):
            qrs = lead(signal, name)[440:560]
            assert np.sign(qrs.max() + qrs.min()) == sign
    signal, _ = beat("infarct_anterior")
    assert lead(signal, "V2")[440:560].max() < 0.1  # QS
    signal, _ = beat("infarct_inferior")
    assert all(lead(signal, name)[440:500].min() < -0.25 for name in REGIONS["inferior"])


def test_premature_beats_are_early_and_pause():
    for symbol, key in (("V", "premature_ventricular_contraction"), ("A", "premature_atrial_contraction")):
        drawn = heart(key, seed=2)
        steps = np.diff(drawn.times)
        for i in np.flatnonzero(drawn.kinds[1:-1] == symbol) + 1:
            if drawn.kinds[i - 1] == "N" and drawn.kinds[i + 1] == "N":
                assert steps[i - 1] < 0.85 * drawn.rr < drawn.rr < steps[i]
        assert symbol in [k for _, k in ecg([key], seed=2)[1]]


def test_r_peaks_are_peaks():
    drawn = heart("premature_ventricular_contraction", fs=360, seconds=60.0)
    samples, symbols = drawn.peaks(1)
    trace = np.abs(lead(drawn.clean, "II"))
    for sample in samples:
        assert trace[sample] == trace[max(sample - 20, 0) : sample + 21].max()
    assert {"N", "V"} == set(symbols)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Every layout, small."""
    root = tmp_path_factory.mktemp("sets")
    for layout in simulators.table():
        simulate(
            layout,
            root / layout,
            patients=12,
            seed=1,
            workers=1,
            progress=False,
            seconds=None if layout in ("mimic", "ptbxl") else 60,
        )
    return root


def test_mimic_files(written):
    table = pd.read_csv(written / "mimic" / "record_list.csv")
    machine = pd.read_csv(written / "mimic" / "machine_measurements.csv")
    assert list(table) == ["subject_id", "study_id", "file_name", "ecg_time", "path"]
    assert table.study_id.is_unique and (table.study_id == machine.study_id).all()
    assert table.groupby("subject_id").size().max() > 1
    assert pd.to_datetime(table.ecg_time).dt.year.between(2100, 2200).all()
    for row, measured in zip(table.itertuples(), machine.itertuples()):
        signal, fields = wfdb.rdsamp(str(written / "mimic" / row.path))
        assert signal.shape == (5000, 12) and fields["fs"] == 500
        assert fields["sig_name"][:6] == ["I", "II", "III", "aVR", "aVF", "aVL"]
        limb = dict(zip(fields["sig_name"], signal.T))
        np.testing.assert_allclose(limb["III"], limb["II"] - limb["I"], atol=0.011)
        assert measured.report_0 and 400 < measured.rr_interval < 1600
        assert measured.qrs_onset < measured.qrs_end < measured.t_end


def test_ptbxl_files(written):
    table = pd.read_csv(written / "ptbxl" / "ptbxl_database.csv", index_col="ecg_id")
    scp = pd.read_csv(written / "ptbxl" / "scp_statements.csv", index_col=0)
    assert (table.groupby("patient_id").strat_fold.nunique() == 1).all() and table.strat_fold.between(1, 10).all()
    for row in table.itertuples():
        signal, fields = wfdb.rdsamp(str(written / "ptbxl" / row.filename_lr))
        assert signal.shape == (1000, 12) and fields["fs"] == 100
        assert fields["sig_name"] == [name.upper() for name in LEADS]
        found = find(row.report)
        codes = ast.literal_eval(row.scp_codes)
        assert set(codes) <= set(scp.index)
        assert {f.scp for f in FINDINGS if f.key in found and f.kind != "summary"} - {None} <= set(codes)
        assert ("NORM" in codes) == ("normal_ecg" in found)


@pytest.mark.parametrize(
    ("layout", "fs", "symbols"),
    [
        ("mit_bih_arrhythmia", 360, set("NLRVA+")),
        ("european_st_t", 250, set("NLRVS")),
        ("mit_bih_st_change", 360, set("NLRVS")),
    ],
)
def test_annotated_files(written, layout, fs, symbols):
    names = (written / layout / "RECORDS").read_text().split()
    assert len(names) == 12
    for name in names:
        signal, fields = wfdb.rdsamp(str(written / layout / name))
        notes = wfdb.rdann(str(written / layout / name), "atr")
        assert fields["fs"] == fs and signal.shape == (60 * fs, 2) and set(notes.symbol) <= symbols
        beats = np.array([s for s, k in zip(notes.sample, notes.symbol) if k != "+"])
        trace = np.abs(signal[:, 0] - np.median(signal[:, 0]))
        near = beats[:, None] + np.arange(-20, 21)
        near = near[(near[:, 0] >= 0) & (near[:, -1] < len(trace))]
        off = trace[near].argmax(axis=1) - 20
        assert np.median(np.abs(off)) <= 1
        rhythms = [note for note in notes.aux_note if note]
        assert (layout == "mit_bih_arrhythmia") == bool(rhythms)
        assert all(note.rstrip("\x00") in ("(N", "(VT", "(AFIB") for note in rhythms)


def test_workers_do_not_change_the_files(written, tmp_path):
    simulate("mimic", tmp_path / "two", patients=12, seed=1, workers=2, progress=False)
    for path in sorted((written / "mimic").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "two" / path.relative_to(written / "mimic")).read_bytes(), path


def test_a_set_is_written_once_and_never_over_another(tmp_path):
    root = tmp_path / "set"
    simulate("ptbxl", root, patients=2, workers=1, progress=False)
    stamp = (root / "SIMULATED.json").stat().st_mtime_ns
    simulate("ptbxl", root, patients=2, workers=1, progress=False)
    assert (root / "SIMULATED.json").stat().st_mtime_ns == stamp
    assert json.loads((root / "SIMULATED.json").read_text())["layout"] == "ptbxl"
    with pytest.raises(DataError, match="delete it"):
        simulate("ptbxl", root, patients=3, workers=1, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    with pytest.raises(ConfigError, match="mimic"):
        simulate("mimmic", tmp_path / "other", patients=1)


def test_failed_leads_are_flat_or_missing():
    rng = np.random.default_rng(0)
    drawn = record(["sinus_rhythm"], Anatomy(), Faults(flat=(7,), off=(9,)), 10.0, 500, rng)
    assert (drawn.signal[7] == 0).all() and np.isnan(drawn.signal[9]).all()
    assert np.isfinite(np.delete(drawn.signal, 9, axis=0)).all()
    assert {"Possible faulty V2 - omitted from analysis", "Possible faulty V4 - omitted from analysis"} <= set(
        drawn.statements
    )
