"""Verification against real annotations, with answers derived by a loop of its own; and every way a row can be
wrong.
"""

import random

import numpy as np
import pytest
import wfdb

from anyecg.tasks.release.rows import CLASSES
from anyecg.tasks.release.verification import Verifier, agreement
from tests.data.native import REAL, write_annotated

PVC = "Premature ventricular contraction"
MITDB = "mit_bih_arrhythmia"
BEATS = ((0.5, "N"), (1.5, "V"), (2.5, "N"), (3.5, "N"), (4.5, "N"), (5.5, "V"), (6.5, "V"), (7.5, "N"), (20.0, "N"))
TRUE = "Duration: 0.5s-2.5s, 4.5s-7.5s"  # of the first 10 s


def row(answer=TRUE, start=0, end=3600, path="r1", symbol="V", **more):
    return {"question": f"Where is the {PVC} located in this ECG?", "answer": answer, "ecg_path": path, "dataset": MITDB, "task": "location",
            "abnormal_type": symbol, "ecg_start": start, "ecg_end": end} | more  # fmt: skip


@pytest.fixture
def root(tmp_path):
    return write_annotated(tmp_path / "source", "r1", beats=BEATS)


def verified(rows, root, name=MITDB, file="f.json"):
    verifier = Verifier({name: root})
    for number, one in enumerate(rows, 1):
        verifier.check(file, number, one)
    found = verifier.result
    assert found.checked + found.unchecked.total() == len(rows)
    return found


def derived(annotation, length, symbol, start, end, fs=360):
    """The rule once more, beat by beat."""
    pieces = []
    for n, label in enumerate(annotation.symbol):
        if label == symbol:
            before = annotation.sample[n - 1] if n else 0
            after = annotation.sample[n + 1] if n + 1 < len(annotation.symbol) else length
            if before < end and after > start:
                pieces.append([(max(before, start) - start) / fs, (min(after, end) - start) / fs])
    merged = []
    for a, b in pieces:
        if merged and a <= merged[-1][1]:
            merged[-1][1] = b
        else:
            merged.append([a, b])
    return [[float(np.round(a, 1)), float(np.round(b, 1))] for a, b in merged]


def said(intervals, symbol):
    return (
        "Duration: " + ", ".join(f"{a:.1f}s-{b:.1f}s" for a, b in intervals)
        if intervals
        else f"No {CLASSES[symbol]} Found"
    )


@pytest.fixture(scope="module")
def real():
    """Windows of real records, 10 s and longer, around beats of a class and anywhere: (row, its intervals)."""
    if not (REAL / "mitdb").is_dir():
        pytest.skip(f"no real data at {REAL}")
    found, rng = [], random.Random(0)
    for name, classes in (("106", "V"), ("119", "V"), ("201", "VAj"), ("208", "VF"), ("207", "LE/"), ("209", "A")):
        annotation, length = (
            wfdb.rdann(str(REAL / "mitdb" / name), "atr"),
            wfdb.rdheader(str(REAL / "mitdb" / name)).sig_len,
        )
        for symbol in classes:
            beats = [sample for sample, label in zip(annotation.sample, annotation.symbol) if label == symbol]
            for n in range(16):
                samples = 3600 if n % 2 else rng.randrange(3600, 21600)
                middle = rng.choice(beats) - rng.randrange(samples) if beats and n % 4 else rng.randrange(length)
                start = int(min(max(middle, 0), length - samples))
                intervals = derived(annotation, length, symbol, start, start + samples)
                found.append(
                    (
                        row(
                            said(intervals, symbol),
                            start,
                            start + samples,
                            name,
                            symbol,
                            task="location" if n % 2 else "location_long",
                        ),
                        intervals,
                    )
                )
    assert 40 < sum(bool(intervals) for _, intervals in found) < len(found) - 20
    return found


def test_real_answers_agree(real):
    found = verified([one for one, _ in real], REAL / "mitdb")
    assert found.agree == found.checked == len(real) and found.sound and found.rounding < 0.1 * len(real)


def test_real_answers_that_are_wrong_are_all_told(real):
    """An interval moved by 0.3 s, left out, or made up, and positives made negatives: each on its own row."""
    rows, wrong = [], 0
    for n, (one, intervals) in enumerate(real):
        changed = [list(pair) for pair in intervals]
        wide = [k for k, (a, b) in enumerate(changed) if b - a > 0.3]
        if wide and n % 4 == 0:
            changed[wide[0]] = [round(time + 0.3, 1) for time in changed[wide[0]]]
        elif wide and n % 4 == 1:
            changed.pop(wide[-1])
        elif wide and n % 4 == 2:
            changed = []
        elif not intervals:
            changed = [[3.0, 4.5]]
        wrong += changed != intervals
        rows.append(one | {"answer": said(changed, one["abnormal_type"])})
    found = verified(rows, REAL / "mitdb")
    told = {one.row for one in found.disagreements}
    assert (
        told == {n for n, ((before, _), after) in enumerate(zip(real, rows), 1) if before["answer"] != after["answer"]}
        and len(told) == wrong > 50
    )
    assert not found.sound and found.checked == len(rows) and found.agree == len(rows) - wrong


def test_real_answers_a_tenth_off_agree_and_are_counted_apart(real):
    rows = [
        one | {"answer": said([[max(a - 0.1, 0.0), b + 0.1] for a, b in intervals], one["abnormal_type"])}
        for one, intervals in real
    ]
    changed = sum(before["answer"] != after["answer"] for (before, _), after in zip(real, rows))
    found = verified(rows, REAL / "mitdb")
    assert found.sound and found.rounding >= changed > 50


def test_published_answers_agree(tmp_path):
    """Record 100 of the MIT-BIH Arrhythmia Database: its atrial beats with their neighbours, and answers of the
    release about them.
    """
    beats = "305497N 305709A 306035N 307514N 307745A 308062N 312605N 312825A 313193N 317560N 317785A 318145N 319011N 319223A 319586N"
    write_annotated(
        tmp_path, "100", signal=np.zeros((2, 350000)), beats=[(int(one[:-1]) / 360, one[-1]) for one in beats.split()]
    )
    published = {
        (305135, 323024): "Duration: 1.0s-2.5s, 6.6s-8.1s, 20.8s-22.4s, 34.5s-36.1s, 38.5s-40.1s",
        (305526, 324534): "Duration: 0.0s-1.4s, 5.5s-7.0s, 19.7s-21.3s, 33.4s-35.1s, 37.5s-39.1s",
        (307144, 328093): "Duration: 1.0s-2.6s, 15.2s-16.8s, 28.9s-30.6s, 33.0s-34.6s",
        (312459, 316466): "Duration: 0.4s-2.0s",
        (312742, 324564): "Duration: 0.0s-1.3s, 13.4s-15.0s, 17.4s-19.0s",
        (317596, 322693): "Duration: 0.0s-1.5s, 3.9s-5.5s",
        (319018, 336197): "Duration: 0.0s-1.6s",
    }
    rows = [row(answer, start, end, "100", "A", task="location_long") for (start, end), answer in published.items()]
    found = verified(rows, tmp_path)
    assert found.sound and found.agree == 7 and found.rounding <= 1


@pytest.mark.parametrize(
    "answer, kind",
    [
        (TRUE, "exact"),
        ("Duration: 0.4s-2.6s, 4.6s-7.4s", "rounding"),
        ("Duration: 0.5s-2.5s, 4.5s-5.5s, 5.6s-7.5s", "rounding"),
        ("Duration: 0.5s-2.5s, 4.5s-5.5s, 5.5s-7.5s", "rounding"),
        ("Duration: 0.5s-2.5s, 4.5s-7.5s, 10.0s-10.0s", "rounding"),
        ("Duration: 4.5s-7.5s, 0.5s-2.5s", ""),
        ("Duration: 0.5s-2.5s, 4.5s-7.5s, 0.5s-2.5s", ""),
        ("Duration: 0.5s-2.5s, 4.5s-5.5s, 5.7s-7.5s", ""),
        ("Duration: 0.8s-2.8s, 4.5s-7.5s", ""),
        ("Duration: 0.7s-2.5s, 4.5s-7.5s", ""),
        ("Duration: 0.5s-2.5s", ""),
        ("Duration: 0.5s-2.5s, 4.5s-7.5s, 9.9s-10.0s", ""),
        ("Duration: 0.5s-2.5s, 4.5s-99999.0s", ""),
        (f"No {PVC} Found", ""),
    ],
)
def test_agreement(answer, kind, root):
    found = verified([row(answer)], root)
    assert (found.agree, found.rounding, len(found.disagreements)) == (bool(kind), kind == "rounding", not kind)
    for one in found.disagreements:
        assert (one.row, one.record, one.start, one.end, one.name, one.said, one.annotated) == (
            1,
            "r1",
            0,
            3600,
            PVC,
            answer,
            TRUE,
        )


def test_neighbours_that_touch_within_a_tenth():
    assert (
        agreement([(0.0, 1.0), (1.1, 2.0)], [(0.0, 2.0)])
        == agreement([(0.0, 2.0)], [(0.0, 1.0), (1.1, 2.0)])
        == "rounding"
    )
    assert (
        agreement([], []) == "exact"
        and agreement([], [(9.9, 10.0)]) == ""
        and agreement([(5.0, 5.1)], [(5.1, 5.2)]) == "rounding"
    )
    # no time is off by more than a tenth
    assert agreement([(0.0, 1.8), (1.8, 3.0)], [(0.0, 1.7), (1.9, 3.0)]) == "rounding"
    assert (
        agreement([(0.0, 1.0), (1.0, 2.0), (2.0, 2.1)], [(0.0, 2.0)]) == "rounding"
        and agreement([(0.0, 1.0)] * 3000, [(0.0, 1.0)]) == ""
    )


def test_beats_outside_that_reach_in_count_and_windows_end_them(root):
    rows = [
        row("Duration: 0.0s-0.5s, 2.5s-5.5s", 720, 4320),
        row("Duration: 0.0s-0.2s", 2628, 6228),
        row(f"No {PVC} Found", 2700, 6300),
        row("Duration: 0.0s-1.5s", 2160, 5760),
        row("No Fusion of ventricular and normal beat Found", symbol="F"),
    ]
    found = verified(rows, root)
    assert found.agree == 5 and not found.rounding


def test_the_first_and_last_annotations_reach_to_the_edges(tmp_path):
    root = write_annotated(tmp_path, "r1", beats=[(1.0, "V"), (29.0, "V")])
    assert verified([row("Duration: 0.0s-10.0s"), row("Duration: 0.0s-30.0s", 0, 10800)], root).agree == 2


def test_a_window_cut_at_100_hz_may_end_within_a_hundredth(root):
    assert verified([row(f"No {PVC} Found", 7560, 10803), row(f"No {PVC} Found", 7560, 10804)], root).agree == 1


def test_the_class_may_be_named_in_the_text_alone(root):
    plain = {name: value for name, value in row().items() if name != "abnormal_type"}
    nothing = plain | {"answer": "No Paced beat Found", "question": "Where is it?"}
    assert verified([plain, nothing, plain | {"ecg_path": ["r1"], "dataset": f"{MITDB}_long"}], root).agree == 3


def test_a_negative_of_another_class_is_no_agreement(root):
    found = verified([row("No Paced beat Found", symbol="F"), row("No such thing Found", symbol="F")], root)
    assert found.agree == 1 and found.disagreements[0].annotated == "No Fusion of ventricular and normal beat Found"


def test_malformed_rows_are_named_and_never_crash(root):
    rows = [
        {name: value for name, value in row().items() if name != "ecg_start"},
        row(start=None),
        row("somewhere"),
        row("Duration: 7.5s-4.5s"),
        row(start=3600),
        row(start=9000, end=12600),
        row(symbol="PVC"),
        row(path=["r1", "r1"]),
        row(path=None),
        "a row",
        None,
        [],
        {},
        row(task="locate"),
        row(dataset=4),
        row(),
    ]
    found = verified(rows, root)
    assert [number for _, number, _ in found.malformed] == list(range(1, 16)) and found.unchecked == {
        "malformed row": 15
    }
    assert found.agree == 1 and not found.sound
    assert "10800 samples" in found.malformed[5][2] and found.malformed[0][2].startswith("ecg_start: not there")


def test_what_is_missing_is_listed_once(root):
    (root / "r2.hea").write_text((root / "r1.hea").read_text().replace("r1", "r2"))
    rows = [
        row(path="gone"),
        row(path="gone"),
        row(path="r2"),
        row(path="x\0y"),
        row(path="y" * 5000),
        row("Report: Sinus rhythm", path="gone2", task="report"),
        {
            "question": "What changed?",
            "answer": "Nothing.",
            "ecg_path": ["r1", "gone3"],
            "dataset": MITDB,
            "task": "open-ended",
        },
    ]
    found = verified(rows, root)
    assert (
        found.missing == {MITDB: {"gone": 2, "r2.atr": 1, "x\0y": 1, "y" * 5000: 1, "gone2": 1, "gone3": 1}}
        and not found.sound
    )
    assert found.as_json()["missing"][:2] == ["gone", "r2.atr"] and found.checked == 0


def test_rows_that_are_not_checked_are_counted_by_reason(root):
    rows = [row(dataset="european_st_t"), row(dataset="mimic"), row("Report: Sinus rhythm", task="report")]
    found = verified(rows, root)
    assert (
        found.unchecked == {"no --root for european_st_t": 1, "no --root for mimic": 1, "not a localization row": 1}
        and found.sound
    )
    found = verified([row(dataset="ptbxl")], root, name="ptbxl")
    assert found.unchecked == {"ptbxl has no beat annotations": 1}


def test_broken_records_are_told_once_and_annotations_read_once(root, monkeypatch):
    for name, file in (("r2", "r2.atr"), ("r3", "r3.hea")):
        for suffix in (".hea", ".atr"):
            (root / f"{name}{suffix}").write_bytes((root / f"r1{suffix}").read_bytes().replace(b"r1", name.encode()))
        (root / file).write_bytes(b"\xff" * 7)
    read, rdann = [], wfdb.rdann
    monkeypatch.setattr(wfdb, "rdann", lambda path, *rest: read.append(path[-2:]) or rdann(path, *rest))
    found = verified([row(path=path) for path in ("r1", "r2", "r3", "r1", "r2", "r3")], root)
    assert found.agree == 2 and len(found.unreadable) == 2 and not found.sound and sorted(set(read)) == sorted(read)
    assert "r2.atr" in found.unreadable[0] and "r3.hea" in found.unreadable[1]
    assert found.unchecked == {"record whose header or annotations cannot be read": 4}


def test_annotations_out_of_order_or_past_the_end(tmp_path):
    root = write_annotated(tmp_path, "r1", beats=[*BEATS, (31.0, "V"), (32.0, "N")])
    assert verified([row(), row(f"No {PVC} Found", 7560, 10800)], root).agree == 2
