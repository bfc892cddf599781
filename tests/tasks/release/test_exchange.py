"""Released rows to questions and back: the release's own rows, our own questions, and what cannot be asked."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from anyecg.data.store.shards import SCHEMA
from anyecg.data.store.store import Stores
from anyecg.tasks.localization.build import answer_text
from anyecg.tasks.release.exchange import to_rows, to_samples
from anyecg.tasks.release.rows import corpus_of, paths, read_released
from anyecg.types import DataError, Turn, Window
from tests.data.native import REAL

UPSTREAM = sorted((REAL / "upstream_json").glob("*.json"))
FS = {"mimic": 500.0, "ptbxl": 500.0, "european_st_t": 250.0, "mit_bih_arrhythmia": 360.0}
PVC = "Premature ventricular contraction"
LOCATION = {
    "question": f"Where is the {PVC} located in this ECG?",
    "answer": "Duration: 0.4s-3.7s, 4.6s-9.3s",
    "ecg_path": "100",
    "dataset": "mit_bih_arrhythmia",
    "task": "location",
    "abnormal_type": "V",
    "ecg_start": 3601,
    "ecg_end": 7201,
}
REPORT = {
    "question": "Give me the report of this ECG.",
    "answer": "Report: Sinus rhythm",
    "ecg_path": "files/p1/s2/2",
    "dataset": "mimic",
    "task": "report",
}
SEVERAL = {
    "question": "What changes?",
    "answer": "Nothing.",
    "ecg_path": ["files/p1/s2/2", "files/p1/s3/3"],
    "dataset": "mimic",
    "task": "open-ended",
}
ECGQA = {
    "question": "Is there noise? Please answer briefly.",
    "answer": "no",
    "ecg_path": ["records500/00000/00001_hr"],
    "dataset": "ptbxl",
    "task": "ecgqa",
    "question_type": "single-verify",
    "template_id": 58,
}


class Recordings:
    """A store without signals: what the conversion reads of one."""

    def __init__(self, corpus, places, split="train", **columns):
        self.summary, self.fingerprint, self.folder, self.fs = {"corpus": corpus}, corpus, Path(corpus), 100.0
        long = corpus in ("european_st_t", "mit_bih_arrhythmia")
        self.rows = [
            {
                "id": f"{corpus}/{n}",
                "corpus": corpus,
                "path": place,
                "fs": FS[corpus],
                "patient": f"{corpus}/p{n // 4}",
                "split": split,
                "time": f"2168-12-{1 + n % 28:02}T10:00:00" if corpus == "mimic" else "",
                "seconds": 7200.0 if long else 10.0,
                "statements": [] if long else ["Sinus rhythm", f"Report {n}"],
                "annotation_times": [1895.0, 1896.5] if long else [],
                "annotation_symbols": ["N", "V"] if long else [],
                **columns,
            }
            for n, place in enumerate(places)
        ]

    def table(self, columns):
        return pa.Table.from_pylist(self.rows, schema=SCHEMA).select(list(columns))


def stores_of(rows, **columns):
    places = {}
    for row in rows:
        places.setdefault(corpus_of(row), {}).update(dict.fromkeys(paths(row)))
    return Stores([Recordings(corpus, found, **columns) for corpus, found in places.items()])


def once(row, stores=None):
    """The sample of one row, which must come back as it is."""
    stores = stores or stores_of([row])
    ((split, sample),) = to_samples([row], stores)
    (again,) = to_rows([(split, sample)], stores)
    assert json.dumps(again, ensure_ascii=False) == json.dumps(row, ensure_ascii=False)
    return sample


@pytest.mark.skipif(not UPSTREAM, reason=f"no released files in {REAL}")
def test_released_rows_come_back_as_they_are():
    rows = [row for path in UPSTREAM for row in read_released(path)]
    stores = stores_of(rows)
    samples = list(to_samples(rows, stores))
    assert [json.dumps(row, ensure_ascii=False) for row in to_rows(samples, stores)] == [
        json.dumps(row, ensure_ascii=False) for row in rows
    ]
    assert len({sample.id for _, sample in samples}) == len(rows)
    assert Counter(sample.task for _, sample in samples) == {
        "report": 100,
        "localization": 200,
        "multi_ecg": 100,
        "ecg_qa": 100,
    }
    assert {len(sample.records) for _, sample in samples if sample.task == "multi_ecg"} == {2, 3, 4, 5, 6}


def test_localization():
    sample = once(LOCATION)
    assert (sample.task, sample.pool, sample.subset) == ("localization", "localization_short", "mit_bih_arrhythmia")
    assert sample.records == (Window("mit_bih_arrhythmia/0", 3601 / 360, 7201 / 360),)
    assert sample.meta == {"name": PVC, "symbol": "V", "seconds": 10.0, "intervals": [[0.4, 3.7], [4.6, 9.3]]}
    assert sample.conversation[0].text == f"<ecg>\n{LOCATION['question']}" and sample.patient == "mit_bih_arrhythmia/p0"
    assert once(LOCATION | {"ecg_start": 1893 * 360, "ecg_end": 1903 * 360}).evidence == ("2.0s N, 3.5s V",)
    # the hundredth whose nearest sample it is
    assert once(LOCATION | {"ecg_start": 4442, "ecg_end": 4442 + 3600}).records[0].start == 12.34
    assert once(LOCATION | {"answer": "Duration: 0.9s-3.7s, 10.0s-10.0s"}).meta["intervals"] == [[0.9, 3.7]]
    assert once(LOCATION | {"answer": f"No {PVC} Found"}).meta["intervals"] == []


@pytest.mark.parametrize(
    "change", [{"task": "location_long"}, {"dataset": "mit_bih_arrhythmia_long"}, {"ecg_end": 9000}]
)
def test_long_windows_have_their_own_pool(change):
    sample = once(LOCATION | change)
    assert (sample.pool, sample.subset) == ("localization_long", "mit_bih_arrhythmia_long")


def test_several_ecgs_stand_each_at_its_marker_with_its_date():
    sample = once(SEVERAL)
    assert (
        sample.conversation[0].text
        == "ECG 1 (2168-12-01): <ecg>\nECG 2 (2168-12-02, 1 day after the first): <ecg>\nWhat changes?"
    )
    assert sample.evidence == ("Sinus rhythm, Report 0", "Sinus rhythm, Report 1") and sample.subset == "2"


def test_ecg_qa_is_asked_as_it_is_when_built():
    sample = once(ECGQA)
    assert sample.conversation[0].text == "<ecg>\nIs there noise? Please answer briefly."
    assert sample.subset == "single-verify" and sample.meta["template_id"] == 58
    two = once(
        ECGQA
        | {
            "ecg_path": ["records500/00000/00001_hr", "records500/00000/00002_hr"],
            "question_type": "comparison_consecutive-verify",
        }
    )
    assert two.conversation[0].text.startswith("First ECG: <ecg>\nSecond ECG: <ecg>\n")


def test_ptbxl_is_found_at_either_rate():
    stores = Stores([Recordings("ptbxl", ["records100/00000/00002_lr", "records100/00000/00001_lr"])])
    assert once(ECGQA, stores).records[0].record == "ptbxl/1"


@pytest.mark.parametrize(
    "row",
    [
        REPORT | {"question": "\n  “Report”,\u2028 s'il\tvous plaît \u0000 ’ 🫀 \"\\ \n"},
        REPORT | {"ecg_path": ["files/p1/s2/2"]},
        REPORT | {"answer": "Report: a\nb, <ecg>"},
        REPORT | {"note": {"by": [1, 2.0, None]}, "template_id": 3},
        dict(reversed(REPORT.items())),
        REPORT | {"ecg_start": 500, "ecg_end": 4000},
        {name: LOCATION[name] for name in reversed(LOCATION)},
        LOCATION | {"abnormal_type": None},
        {name: value for name, value in LOCATION.items() if name != "abnormal_type"},
        LOCATION | {"ecg_path": ["100"]},
        LOCATION | {"abnormal_type": "Q"},
        SEVERAL | {"ecg_path": "files/p1/s2/2"},
        {name: value for name, value in ECGQA.items() if name != "question_type"},
    ],
)
def test_odd_rows_come_back_as_they_are(row):
    once(row)


def test_rows_of_one_recording_have_ids_of_their_own():
    rows = [LOCATION, LOCATION, LOCATION | {"answer": f"No {PVC} Found"}, REPORT, REPORT, SEVERAL, SEVERAL]
    assert len({sample.id for _, sample in to_samples(rows, stores_of(rows))}) == len(rows)


def test_what_is_not_in_the_stores_is_counted_and_named():
    rows = [
        REPORT,
        REPORT | {"ecg_path": "files/p9/s9/9"},
        SEVERAL | {"ecg_path": ["files/p1/s2/2", "files/p9/s9/9"]},
        LOCATION,
        LOCATION | {"ecg_end": 7200 * 360 + 4},
    ]
    left_out = Counter()
    samples = list(to_samples(rows, stores_of([REPORT]), left_out))
    assert len(samples) == 1 and left_out == {
        "mimic has no record files/p9/s9/9 in this dataset": 2,
        "mit_bih_arrhythmia has no record 100 in this dataset": 2,
    }
    left_out = Counter()
    assert len(list(to_samples(rows, stores_of([LOCATION]), left_out))) == 1
    assert left_out["window that leaves its record or holds no sample of it (mit_bih_arrhythmia 100)"] == 1


def test_no_question_has_ecgs_of_two_splits():
    store = Recordings("mimic", paths(SEVERAL))
    store.rows[1]["split"] = "test"
    left_out = Counter()
    assert not list(to_samples([SEVERAL], Stores([store]), left_out)) and "two splits" in next(iter(left_out))


def test_our_own_questions_come_back_the_same(small_data):
    questions, stores = small_data.questions, small_data.stores
    samples = list(zip(questions.column("split"), questions))
    rows = json.loads(json.dumps(list(to_rows(samples, stores))))
    assert list(to_samples(rows, stores)) == samples
    plain = Counter(row["task"] for row in rows if "anyecg" not in row)
    assert all(plain[task] for task in ("report", "location", "location_long")) and not plain["open-ended"]
    assert {"report", "localization", "multi_ecg", "classification"} <= {sample.task for _, sample in samples}


def test_some_of_our_own_questions_come_back_the_same(small_data):
    """Counted ids do not depend on what else is in the file, nor on questions that a hand took away."""
    questions, stores = small_data.questions, small_data.stores
    samples = list(zip(questions.column("split"), questions))
    for some in (samples[::3], samples[::-1], [pair for pair in samples if pair[0] == "test"]):
        assert list(to_samples(list(to_rows(some, stores)), stores)) == some


def test_questions_made_otherwise_come_back_the_same(small_data):
    questions, stores = small_data.questions, small_data.stores
    report, location = (questions[int(questions.select(task=task)[0])] for task in ("report", "localization"))
    window = location.records[0]
    odd = [
        replace(report, id="mine", subset="x", patient="q", evidence=("y",), meta={"a": {"b": None}}),
        replace(report, id="part", records=(replace(report.records[0], start=1.001, end=2.3456),)),
        replace(report, id="open", records=(replace(report.records[0], end=None),)),
        replace(
            report,
            id="turns",
            conversation=(*report.conversation, Turn("user", "And the rate?"), Turn("assistant", "60")),
        ),
        replace(report, id="last", conversation=(Turn("user", "What is this? <ecg>"), Turn("assistant", "An ECG."))),
        replace(report, id="other", task="rate", pool="rates"),
        replace(
            location,
            id="fine",
            records=(replace(window, start=window.start + 0.0123),),
            conversation=(
                location.conversation[0],
                Turn("assistant", answer_text(location.meta["name"], [(0.1, 0.2)])),
            ),
            meta={**location.meta, "intervals": [[0.1, 0.2]]},
        ),
    ]
    pairs = [("val", sample) for sample in odd]
    rows = json.loads(json.dumps(list(to_rows(pairs, stores))))
    assert list(to_samples(rows, stores)) == pairs


def test_what_the_format_cannot_hold_or_is_damaged(small_data):
    questions, stores = small_data.questions, small_data.stores
    pair = str(questions.column("split")[0]), questions[0]
    textual = replace(
        pair[1], records=(), conversation=(Turn("user", "Hello"), Turn("assistant", "Hello")), evidence=()
    )
    with pytest.raises(DataError, match="leave this question out"):
        list(to_rows([("train", textual)], stores))
    with pytest.raises(DataError, match="is not in the store"):
        list(to_rows([("train", replace(pair[1], records=(Window("mimic/none", 0.0, 1.0),)))], stores))
    (row,) = to_rows([pair], stores)
    for damaged in ({"records": 3}, {"unheard": 1}, {"conversation": [["user"]]}):
        with pytest.raises(DataError, match="'anyecg' is damaged"):
            list(to_samples([row | {"anyecg": damaged}], stores))
    with pytest.raises(DataError, match="give each file once"):
        list(to_samples([row | {"anyecg": {"id": "one"}}] * 2, stores))
