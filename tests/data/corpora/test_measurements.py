"""What corpora measure: LUDB's delineation, MIMIC-IV-ECG's machine measurements, and that stores keep them."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from anyecg.data.corpora import corpora
from anyecg.data.corpora.ludb import Wave, beats, delineated, measure
from anyecg.data.corpora.quantities import GLOBAL, QUANTITIES, from_marks, unit
from anyecg.data.store.shards import build_store
from anyecg.findings import find
from anyecg.simulate import simulate
from anyecg.simulate.beat import end, onset
from anyecg.simulate.faults import Faults
from anyecg.simulate.ludb import delineation
from anyecg.simulate.measure import axis, machine
from anyecg.simulate.patient import draw, source
from anyecg.simulate.record import record
from anyecg.types import CANONICAL_LEADS, DataError
from tests.data.native import REAL

real_ludb = pytest.mark.skipif(not (REAL / "ludb").is_dir(), reason=f"no real data at {REAL}")


def corpus(name, root):
    kind = corpora[name]
    return kind(kind.Config(root=str(root)), root)


@pytest.fixture(scope="module")
def ludb(tmp_path_factory):
    root = tmp_path_factory.mktemp("ludb") / "s"
    simulate("ludb", root, patients=6, seed=3, workers=1, progress=False)
    return corpus("ludb", root)


def values(corpus, entry):
    return corpus.measurements(entry, corpus.read(entry))


def test_delineated_waves_are_whole_and_belong_to_beats():
    samples, symbols = [5, 9, 12, 20, 25, 30, 40, 50, 60, 70], ["p", ")", "(", "N", ")", "(", "t", ")", "(", "N"]
    waves = delineated(samples, symbols)
    assert waves == [Wave("QRS", 12, 20, 25), Wave("T", 30, 40, 50)]  # neither the P wave without onset nor the last
    assert beats(waves) == [(None, waves[0], waves[1])]


def test_intervals_follow_from_marks_and_their_order():
    found = from_marks(rr=800, p_onset=100, qrs_onset=260, qrs_end=350, t_end=660)
    assert found["heart_rate"] == 75 and found["pr_interval"] == 160 and found["qrs_duration"] == 90
    assert found["qt_interval"] == 400 and found["qtc_interval"] == pytest.approx(447.2, abs=0.1)
    lacking = from_marks(rr=math.nan, p_onset=300, qrs_onset=260, qrs_end=math.nan, t_end=660)
    assert [math.isnan(lacking[name]) for name in lacking] == [True, True, True, False, True]


def test_ludb_measures_what_the_simulator_drew(tmp_path):
    """The delineation of a simulated record against its own waves: a few ms, a few degrees, a few hundredths of a mV."""
    rng = source(0, "ludb", 4)
    drawn = record(frozenset(), draw(4, rng, (1.0,), 2018, 1).anatomy, Faults(wander=0.0, muscle=0.0), 10.0, 500, rng)
    waves = {lead: delineated(*map(list, delineation(drawn, row))) for row, lead in enumerate(CANONICAL_LEADS)}
    found = measure(drawn.signal, 500.0, waves)
    assert set(found) == set(QUANTITIES)
    start, stop = onset(drawn.beat), end(drawn.beat)
    assert found["heart_rate"] == pytest.approx(60 / drawn.rr, abs=0.6)
    assert found["pr_interval"] == pytest.approx(1000 * (start - onset(drawn.beat, "P")), abs=3)
    assert found["qrs_duration"] == pytest.approx(1000 * (stop - start), abs=3)
    assert found["qt_interval"] == pytest.approx(1000 * (end(drawn.beat, "T") - start), abs=3)
    assert found["qrs_axis"] == pytest.approx(axis(drawn.beat, "QRS"), abs=5)
    v5 = drawn.clean[CANONICAL_LEADS.index("V5")]
    assert found["r_amplitude_V5"] == pytest.approx(np.quantile(v5, 0.999), rel=0.1)


def test_ludb_reads_its_simulated_layout(ludb):
    entries = list(ludb.entries())
    assert len(entries) == 6 and {entry.split for entry in entries} == {"train", "val", "test"}
    assert all(find(". ".join(entry.statements)) for entry in entries)
    for entry in entries:
        found = values(ludb, entry)
        assert set(found) == set(QUANTITIES) and 30 < found["heart_rate"] < 200
        shows_none = find(". ".join(entry.statements)) & {"atrial_fibrillation", "atrial_flutter"}
        assert math.isnan(found["pr_interval"]) == bool(shows_none)
        assert {symbol for _, symbol in ludb.annotations(entry)} <= {"(", "p", "N", "t", ")"}


def test_a_delineation_that_is_missing_or_too_long_costs_its_record(ludb, tmp_path):
    root = tmp_path / "copy"
    simulate("ludb", root, patients=2, seed=3, workers=1, progress=False)
    (root / "data" / "1.v3").unlink()
    broken = corpus("ludb", root)
    with pytest.raises(DataError, match=r"1\.v3"):
        values(broken, next(iter(broken.entries())))
    header = root / "data" / "2.hea"
    header.write_text(header.read_text().replace("2 12 500 5000", "2 12 500 2000"))
    data = (root / "data" / "2.dat").read_bytes()
    (root / "data" / "2.dat").write_bytes(data[: 2000 * 24])
    entry = list(broken.entries())[1]
    short = broken.read.__func__
    with pytest.raises(DataError):
        broken.measurements(entry, short(broken, entry))


def test_a_lead_without_signal_has_no_amplitude(ludb):
    entry = next(iter(ludb.entries()))
    recorded = ludb.read(entry)
    recorded.signal[CANONICAL_LEADS.index("V5")] = np.nan
    found = ludb.measurements(entry, recorded)
    assert math.isnan(found["r_amplitude_V5"]) and not math.isnan(found["r_amplitude_V4"])


def test_mimic_measures_what_its_machine_did(tmp_path):
    simulate("mimic", tmp_path, patients=8, seed=1, workers=1, progress=False)
    path = tmp_path / "machine_measurements.csv"
    table = pd.read_csv(path)
    table.loc[0, ["p_onset", "p_axis"]] = 29999
    table.loc[1, "rr_interval"] = 29999
    table.loc[2, "t_end"] = 65535
    table.loc[3, "qrs_axis"] = 400
    table = table.astype({"qrs_end": "object"})
    table.loc[4, "qrs_end"] = "n/a"
    table.to_csv(path, index=False)
    by_study = {entry.id: dict(entry.measurements) for entry in corpus("mimic", tmp_path).entries()}
    rows = [by_study[str(study)] for study in table["study_id"]]
    assert all(tuple(sorted(row)) == tuple(sorted(GLOBAL)) for row in rows)
    nothing = [sorted(name for name, value in row.items() if math.isnan(value)) for row in rows[:5]]
    assert {"p_axis", "pr_interval"} <= set(nothing[0])
    assert {"heart_rate", "qtc_interval"} <= set(nothing[1])
    assert {"qt_interval", "qtc_interval"} <= set(nothing[2])
    assert "qrs_axis" in nothing[3] and "qrs_duration" in nothing[4]
    last, machine_row = rows[-1], table.iloc[-1]
    assert last["qrs_duration"] == int(machine_row["qrs_end"]) - machine_row["qrs_onset"]
    assert last["heart_rate"] == 60_000 / machine_row["rr_interval"] and last["qrs_axis"] == machine_row["qrs_axis"]


def test_mimic_without_machine_columns_measures_nothing(tmp_path):
    simulate("mimic", tmp_path, patients=2, seed=1, workers=1, progress=False)
    path = tmp_path / "machine_measurements.csv"
    table = pd.read_csv(path)
    table.drop(columns=[name for name in table if name.endswith(("onset", "end", "axis", "interval"))]).to_csv(
        path, index=False
    )
    assert all(math.isnan(value) for entry in corpus("mimic", tmp_path).entries() for _, value in entry.measurements)


def test_stores_keep_measurements_and_say_which_there_are(ludb, tmp_path):
    store = build_store(ludb, tmp_path / "ludb", progress=False)
    assert set(store.summary["info"]["quantities"]) == set(QUANTITIES)
    kept = dict(next(store.rows(["measurements"]))[0])
    expected = values(ludb, next(iter(ludb.entries())))
    assert {name: unit(name) for name in kept} == {name: unit(name) for name in expected}
    np.testing.assert_equal(kept, expected)
    simulate("mit_bih_arrhythmia", tmp_path / "m", patients=1, seconds=10, workers=1, progress=False)
    other = build_store(corpus("mit_bih_arrhythmia", tmp_path / "m"), tmp_path / "other", progress=False)
    assert "quantities" not in other.summary["info"] and next(other.rows(["measurements"])) == ([],)
    assert "quantities" not in json.loads((tmp_path / "other" / "store.json").read_text())["info"]


@real_ludb
def test_ludb_as_published():
    real = corpus("ludb", REAL / "ludb")
    entries = list(real.entries())
    assert len(entries) == 200 and len({entry.patient for entry in entries}) == 200
    angles = {"left": [], "normal": []}
    for entry in entries[:24]:
        found = values(real, entry)
        fibrillates = any("fibrillation" in text for text in entry.statements)
        assert 35 < found["heart_rate"] < 160 and 60 < found["qrs_duration"] < 220
        assert math.isnan(found["pr_interval"]) or not fibrillates
        kind = "left" if "left axis deviation" in entry.statements else "normal"
        if kind == "left" or "Electric axis of the heart: normal" in entry.statements:
            angles[kind].append(found["qrs_axis"])
    assert np.median(angles["left"]) < 0 < np.median(angles["normal"])


def test_the_machine_of_the_simulator_names_what_it_did_not_measure():
    assert machine([], 0.8)["qrs_onset"] == 29999
