"""Questions: true of the recordings, inside them, balanced, and the same whatever order they are made in."""

import json
import pickle
from collections import Counter

import numpy as np
import pytest

from anyecg.config.schema import Slot
from anyecg.data.corpora.base import BEATS
from anyecg.data.dataset.questions_file import BATCH, Questions, write_questions
from anyecg.findings import find
from anyecg.tasks.build import build_data
from anyecg.tasks.localization.build import NAMES, answer_text, clipped, spans, untouched
from anyecg.types import MARKER, ConfigError, DataError, ECGSample, Turn, Window
from tests.building import build, only, tasks
from tests.data.native import REAL, real_data

SIMULATED = {"mimic": 30, "ptbxl": 24, "mit_bih_arrhythmia": 12, "mit_bih_st": 6, "european_st_t": 6}


def configs(**changes):
    return {
        name: Slot.of("corpus", name, patients=patients, seconds=changes.get(name), seed=5)
        for name, patients in SIMULATED.items()
    }


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def data(cache):
    return build_data(
        configs(), tasks(localization={"windows_per_record": 4}), cache, seed=0, workers=1, progress=False
    )


def series(text):
    """Annotations written as "0.5 N, 1.0 V"."""
    pairs = [part.split() for part in text.split(", ")]
    return np.array([float(time) for time, _ in pairs]), np.array([symbol for _, symbol in pairs], dtype=object)


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ("1.0 N, 2.0 V, 3.0 N, 4.0 N", [(1, 3)]),
        ("1.0 N, 2.0 V, 3.0 N, 4.0 V, 5.0 N", [(1, 5)]),  # spans that touch are one
        ("1.0 N, 2.0 V, 3.0 V, 4.0 N, 5.0 N, 6.0 V, 7.0 N", [(1, 4), (5, 7)]),
        ("1.0 V, 2.0 N, 9.0 V", [(0, 10)]),  # to the record's edges, and touching
        ("1.0 N, 2.0 N", []),
        ("1.0 N, 1.7 +, 2.0 V, 3.0 N", [(1.7, 3)]),  # every annotation bounds
        ("1.0 N, 2.0 r, 3.0 N", []),  # a class is its symbol, not part of its name
    ],
)
def test_spans(beats, expected):
    found = spans(*series(beats), "V", 10.0)
    assert [tuple(pair) for pair in found] == expected


def test_windows_clip_spans():
    found = spans(*series("1.0 N, 2.0 V, 3.0 N, 5.0 N, 6.0 V, 7.0 N, 9.0 N"), "V", 10.0)
    assert clipped(found, 0.0, 10.0) == [(1.0, 3.0), (5.0, 7.0)]
    assert clipped(found, 2.46, 6.04) == [(0.0, 0.5), (2.5, 3.6)]
    assert clipped(found, 3.0, 5.0) == clipped(found, 3.5, 4.5) == []
    assert clipped(found, 2.97, 5.02) == []  # slivers that would read "0.0s-0.0s" and "2.0s-2.0s"
    assert answer_text("Paced beat", [(0.4, 3.7), (4.6, 9.25)]) == "Duration: 0.4s-3.7s, 4.6s-9.2s"
    assert answer_text("Paced beat", []) == "No Paced beat Found"


def test_a_window_is_untouched_where_nothing_is_left_to_answer():
    rng, seen = np.random.default_rng(0), Counter()
    for tenths in (0.1, 0.01, 0.0001):  # coarse times make ties at edges and at halves of a tenth
        for _ in range(30):
            times = np.sort(rng.integers(0, round(30 / tenths), 40) * tenths)
            found = spans(times, rng.choice(list("NNNNV"), times.size).astype(object), "V", 30.0)
            for _ in range(40):
                start = round(rng.uniform(0, 20), 2)
                end = start + round(rng.uniform(0.1, 10), 1)
                nothing = not clipped(found, start, end)
                assert untouched(found[:, 0].tolist(), found[:, 1].tolist(), start, end) == nothing
                seen[nothing] += 1
    assert min(seen[True], seen[False]) > 500


@pytest.mark.parametrize(
    ("start", "answer"),
    [(1923, "0.0s-1.3s"), (1297, "1.4s-3.1s"), (1690, "0.3s-2.0s"), (1544, "0.7s-2.4s"), (1699, "0.3s-2.0s")],
)
def test_the_rule_gives_the_released_answers(start, answer):
    """MIT-BIH record 100 around its first atrial premature beat, and what the released test file says of five
    windows.
    """
    times, symbols = np.array([1231, 1515, 1809, 2044, 2402, 2706]) / 360, np.array(list("NNNANN"), dtype=object)
    intervals = clipped(spans(times, symbols, "A", 1805.56), start / 360, start / 360 + 10)
    assert answer_text(NAMES["A"], intervals) == f"Duration: {answer}"


def test_names_are_beats():
    assert set(NAMES) | {"N", "Q", "?"} == set(BEATS) and len(set(NAMES.values())) == len(NAMES)


def test_every_question_is_sound(data):
    """Markers equal ECGs (the type holds it), windows lie inside records, splits are by patient, ids are unique."""
    splits, ids = {}, set()
    patients = data.stores.records["patient"]
    for row, sample in enumerate(data.questions):
        split = data.questions.column("split")[row]
        assert sample.id not in ids and sample.records and len(sample.evidence) == len(sample.records) <= 6
        ids.add(sample.id)
        for window in sample.records:
            assert 0 <= window.start < window.end <= data.stores.seconds(window.record)
            assert window.end - window.start <= 60.001
            assert patients[window.record] == sample.patient
            assert splits.setdefault(sample.patient, split) == split
        assert sample.answer and sample.conversation[0].text.count(MARKER) == len(sample.records)
    assert set(splits.values()) == {"train", "val", "test"}


def test_reports(data):
    rows = data.questions.select(pool="report")
    assert set(data.questions.column("subset")[rows]) == {"mimic"}
    sample = data.questions[rows[0]]
    assert sample.answer == "Report: " + ", ".join(data.stores.records.loc[sample.records[0].record, "statements"])
    assert len({data.questions[row].conversation[0].text for row in rows}) == 10


def test_reports_of_ptbxl_keep_off_the_test_split(data, tmp_path):
    made = build(data.stores, only(report={"corpora": ["ptbxl"], "per_record": 2}), tmp_path / "q.arrow")
    assert set(made.column("subset")) == {"ptbxl"} and "test" not in set(made.column("split"))
    dropped = json.loads((tmp_path / "q.json").read_text())["dropped"]
    assert {row["why"] for row in dropped} == {"test record of the classification task"}


def test_localization(data):
    questions = data.questions
    subsets = set(questions.column("subset")[questions.select(task="localization")])
    assert {"mit_bih_arrhythmia", "mit_bih_arrhythmia_long"} <= subsets
    for sample in (questions[row] for row in questions.select(task="localization")):
        window, meta = sample.records[0], sample.meta
        record = data.stores.records.loc[window.record]
        whole = spans(
            record["annotation_times"], record["annotation_symbols"].astype(object), meta["symbol"], record["seconds"]
        )
        intervals = clipped(whole, window.start, window.end)
        assert [list(pair) for pair in intervals] == meta["intervals"] and sample.answer == answer_text(
            meta["name"], intervals
        )
        assert all(0 <= a < b <= meta["seconds"] for a, b in intervals)
        assert all(b < a for (_, b), (a, _) in zip(intervals, intervals[1:])) or len(intervals) < 2  # noqa: RUF007
        assert meta["name"] in sample.conversation[0].text and "{" not in sample.conversation[0].text
        long = sample.pool == "localization_long"
        assert sample.subset == window.record.split("/")[0] + "_long" * long
        assert 10 <= meta["seconds"] <= 60 if long else meta["seconds"] == 10
        beats = [part.split() for part in sample.evidence[0].split(", ")]
        assert bool(meta["intervals"]) >= (meta["symbol"] in {symbol for _, symbol in beats})
        assert all(0 <= float(time.removesuffix("s")) <= meta["seconds"] and symbol in BEATS for time, symbol in beats)


def test_positives_and_negatives_are_balanced(data):
    """Of each class in each split and pool, so that neither "always No" nor the class alone scores."""
    questions, counts = data.questions, Counter()
    for row in questions.select(task="localization"):
        sample = questions[row]
        counts[
            questions.column("split")[row], sample.subset, sample.meta["symbol"], bool(sample.meta["intervals"])
        ] += 1
    dropped = json.loads(questions.path.with_suffix(".json").read_text())["dropped"]
    missed = sum(row["count"] for row in dropped if row["why"].startswith("no window without"))
    surplus = sum(abs(counts[key[:3] + (True,)] - counts[key[:3] + (False,)]) for key in list(counts) if key[3])
    assert surplus <= missed + 2


def test_multi_ecg(data):
    questions = data.questions
    rows = questions.select(task="multi_ecg")
    kinds = Counter()
    for sample in (questions[row] for row in rows):
        records = data.stores.records.loc[[window.record for window in sample.records]]
        assert 2 <= len(records) <= 6 and sample.subset == str(len(records)) and records["time"].is_monotonic_increasing
        findings = [set(find(", ".join(statements))) for statements in records["statements"]]
        assert [set(keys) for keys in sample.meta["findings"]] == findings
        assert sample.evidence == tuple(", ".join(statements) for statements in records["statements"])
        assert f"ECG 2 ({records['time'].iloc[1][:10]}" in sample.conversation[0].text or not records["time"].iloc[1]
        check_answer(sample.meta["kind"], sample.meta["reference"], findings, sample.answer)
        kinds[sample.meta["kind"]] += 1
    assert {"key_findings", "changes", "consistent", "rhythm", "first_seen", "how_many"} <= set(kinds)


def check_answer(kind, reference, findings, answer):
    """An answer, read as a judge reads it, is true of the ECGs."""
    said, finding = find(answer), reference.get("finding")
    having = [k for k, keys in enumerate(findings) if finding in keys]
    if kind == "key_findings":
        assert said == findings[reference["ecg"] - 1]
    elif kind == "changes":
        before, after = findings[reference["from"] - 1], findings[reference["to"] - 1]
        assert said == (after - before if after != before else after) and set(reference["resolved"]) == before - after
    elif kind == "consistent":
        assert said == set.intersection(*findings)
    elif kind == "first_seen":
        assert reference["ecg"] == (having[0] + 1 if having else None) and said == ({finding} if having else set())
    elif kind == "how_many":
        assert reference["count"] == len(having) and said == ({finding} if having else set())
    elif kind in ("present", "persists"):
        assert answer.lower().startswith(reference["answer"]) and said == (
            {finding} if reference["answer"] == "yes" else set()
        )
    else:
        assert kind == "rhythm" and said == {key for keys in reference["rhythms"] for key in keys}


def test_yes_and_no_are_as_frequent_for_every_finding(data):
    counts = Counter()
    for row in data.questions.select(task="multi_ecg"):
        meta = data.questions[row].meta
        if meta["kind"] in ("present", "persists"):
            key = data.questions.column("split")[row], meta["kind"], meta["reference"]["finding"]
            counts[key] += 1 if meta["reference"]["answer"] == "yes" else -1
    assert not any(counts.values())


def test_classification(data):
    rows = data.questions.select(pool="classification")
    assert set(data.questions.column("split")[rows]) == {"test"}
    universe = data.questions.info["labels"]["ptbxl"]
    assert set(universe["super"]) == {
        "normal ECG",
        "myocardial infarction",
        "ST/T change",
        "conduction disturbance",
        "hypertrophy",
    }
    for sample in (data.questions[row] for row in rows):
        assert sample.conversation[0].text == f"{MARKER}\nPlease provide the report for the following ECG."
        assert all(set(names) <= set(universe[group]) for group, names in sample.meta["labels"].items())
        assert any(sample.meta["labels"].values())


def test_same_seed_same_bytes_and_rows_stand_alone(data, tmp_path):
    slots = tasks(localization={"windows_per_record": 4})
    again = build(data.stores, slots, tmp_path / "again.arrow")
    assert again.path.read_bytes() == data.questions.path.read_bytes()
    other = build(data.stores, slots, tmp_path / "other.arrow", seed=1)
    assert other.path.read_bytes() != data.questions.path.read_bytes()
    alone = build(
        data.stores,
        only(localization={"pools": ["localization_long"], "windows_per_record": 4}),
        tmp_path / "alone.arrow",
    )
    rows = data.questions.select(pool="localization_long")
    assert list(alone) == [data.questions[row] for row in rows]


def test_a_class_may_have_windows_of_its_own(data, tmp_path):
    def of_class(questions, symbol):
        keys = [row.id for row in questions if f"/{symbol}/" in row.id]
        return len(keys), len({key.rsplit("/", 1)[0] for key in keys})

    settings = {"pools": ["localization_short"], "windows_per_record": 2}
    plain = build(data.stores, only(localization=settings), tmp_path / "plain.arrow")
    more = build(data.stores, only(localization=settings | {"windows": {"V": 5}}), tmp_path / "more.arrow")
    questions, records = of_class(plain, "V")
    assert records and questions == 2 * records
    assert of_class(more, "V") == (5 * records, records)
    assert of_class(more, "N") == of_class(plain, "N")


def test_summary_counts_every_question(data):
    summary = json.loads(data.questions.path.with_suffix(".json").read_text())
    assert summary["questions"] == len(data.questions) == sum(row["count"] for row in summary["counts"])


@pytest.mark.parametrize(
    ("task", "settings", "message"),
    [
        ("localization", {"pools": ["long"]}, "pools: 'long' is unknown"),
        ("localization", {"windows": {"PVC": 5}}, "windows.PVC: 'PVC' is unknown"),
        ("localization", {"long_seconds": [60, 10]}, "long_seconds: the shortest"),
        ("multi_ecg", {"max_ecgs": 7}, "max_ecgs: at least 2"),
        ("localization", {"short_seconds": 0}, "short_seconds: above 0"),
        ("report", {"corpora": ["mimik"]}, r"tasks\.report\.corpora: no corpus of the experiment is called 'mimik'"),
    ],
)
def test_bad_settings(data, tmp_path, task, settings, message):
    with pytest.raises(ConfigError, match=message):
        build(data.stores, only(**{task: settings}), tmp_path / "q.arrow")


def test_nothing_to_ask(data, tmp_path):
    with pytest.raises(DataError, match="no question can be asked"):
        build(data.stores, only(report={"corpora": ["european_st_t"]}), tmp_path / "q.arrow")
    assert not list(tmp_path.glob("*.arrow"))


def test_table_finds_rows_and_columns(tmp_path):
    count = 2 * BATCH + 7
    made = (
        (
            "train" if k % 3 else "test",
            ECGSample(
                f"q{k}",
                "report",
                (Window("a/1", 0.0, k + 1.0),),
                (Turn("user", f"{MARKER} {k}"), Turn("assistant", "é")),
                pool="report",
                subset="a",
                patient="a/p",
                evidence=("x",),
                meta={"k": [k, None]},
            ),
        )
        for k in range(count)
    )
    write_questions(tmp_path / "q.arrow", made, {"labels": {"ü": 1}})
    table = pickle.loads(pickle.dumps(Questions(tmp_path / "q.arrow")))
    assert len(table) == count and table.info == {"labels": {"ü": 1}}
    for k in (0, 1, BATCH - 1, BATCH, count - 1):
        assert table[k].id == f"q{k}" and table[k].records[0].end == k + 1 and table[k].meta == {"k": [k, None]}
    assert (
        table.select(split="test").tolist()
        == list(range(0, count, 3))
        == table.select(split=["test"], pool="report").tolist()
    )
    assert table.select(task="nothing").size == 0 and table.column("id")[-1] == f"q{count - 1}"
    with pytest.raises(IndexError):
        table[count]
    with pytest.raises(DataError, match="no question file"):
        Questions(tmp_path / "none.arrow")


@real_data
def test_real_corpora(cache):
    real = {"ptbxl": REAL / "ptbxl", "mit_bih_arrhythmia": REAL / "mitdb"}
    data = build_data(
        {name: Slot.of("corpus", name, root=str(root)) for name, root in real.items()},
        tasks(),
        cache,
        seed=0,
        progress=False,
    )
    counts = Counter(zip(data.questions.column("pool"), data.questions.column("split")))
    assert counts["report", "train"] == 309 and counts["report", "test"] == 0 and counts["classification", "test"] == 81
    assert all(
        counts[pool, split] > 100
        for pool in ("localization_short", "localization_long")
        for split in ("train", "val", "test")
    )
    assert counts["multi_ecg", "train"] > 10
    names = {data.questions[row].meta["name"] for row in data.questions.select(task="localization")}
    assert {"Premature ventricular contraction", "Atrial premature beat", "Paced beat"} <= names
