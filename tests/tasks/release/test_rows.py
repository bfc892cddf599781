"""The released JSON format: the samples of the release read and written byte for byte, and what is wrong named."""

import json

import pytest

from anyecg.tasks.release.rows import abnormality, fault, intervals, named, read_released, read_rows, write_rows
from anyecg.types import DataError
from tests.data.native import REAL

UPSTREAM = sorted((REAL / "upstream_json").glob("*.json"))
LOCATION = {
    "question": "Where is the Premature ventricular contraction located in this ECG?",
    "answer": "Duration: 0.4s-3.7s, 4.6s-9.3s",
    "ecg_path": "e0103",
    "dataset": "european_st_t",
    "task": "location",
    "abnormal_type": "V",
    "ecg_start": 472827,
    "ecg_end": 475327,
}


def written(path, rows):
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.skipif(not UPSTREAM, reason=f"no released files in {REAL}")
@pytest.mark.parametrize("path", UPSTREAM, ids=lambda path: path.stem)
def test_released_files_are_read_and_written_byte_for_byte(path, tmp_path):
    rows = list(read_released(path))
    assert rows == json.loads(path.read_text(encoding="utf-8")) and len(rows) == 100
    assert write_rows(tmp_path / "again.json", rows) == 100
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"a": 'line\u2028and\u0085next\nlast "quoted" \\ ’ 🫀', "b": [1, 2.5, None, True, {"c": []}]}],
        [{}, {"a": 1}],
    ],
)
def test_any_rows_come_back(rows, tmp_path):
    write_rows(tmp_path / "rows.json", rows)
    assert (
        list(read_rows(tmp_path / "rows.json"))
        == rows
        == json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    )


def test_a_file_cut_anywhere_says_where(tmp_path):
    path = tmp_path / "cut.json"
    whole = json.dumps([LOCATION, {**LOCATION, "ecg_path": ["e0104"]}], indent=4)
    for length in range(len(whole)):
        path.write_text(whole[:length])
        with pytest.raises(DataError, match=r"cut\.json: .*at character \d+"):
            list(read_rows(path))
    path.write_text(whole + "\n")
    assert len(list(read_rows(path))) == 2
    path.write_text(whole + "]")
    with pytest.raises(DataError, match=f"at character {len(whole)} of {len(whole) + 1}"):
        list(read_rows(path))


def test_what_is_no_released_file(tmp_path):
    with pytest.raises(DataError, match="gone.json cannot be read"):
        list(read_released(tmp_path / "gone.json"))
    with pytest.raises(DataError, match="a JSON list of rows"):
        list(read_released(written(tmp_path / "one.json", LOCATION)))
    (tmp_path / "bytes.json").write_bytes(b"[\xff\xfe]")
    with pytest.raises(DataError, match="no UTF-8 text"):
        list(read_released(tmp_path / "bytes.json"))


@pytest.mark.parametrize(
    "change, key",
    [
        ({"question": None}, "question"),
        ({"question": "  "}, "question"),
        ({"question": "Is it in <ecg>?"}, "question"),
        ({"answer": 3}, "answer"),
        ({"question": "half \ud83e"}, "question"),
        ({"dataset": ["mimic"]}, "dataset"),
        ({"task": "locaton"}, "task"),
        ({"ecg_path": []}, "ecg_path"),
        ({"ecg_path": ["e0103", 5]}, "ecg_path"),
        ({"ecg_path": ["e0103", "e0104"]}, "ecg_path"),
        ({"ecg_start": -1}, "ecg_start"),
        ({"ecg_start": 472827.0}, "ecg_start"),
        ({"ecg_end": "475327"}, "ecg_end"),
        ({"ecg_end": True}, "ecg_end"),
        ({"ecg_end": 472827}, "ecg_end"),
        ({"answer": "from 0.4 to 3.7"}, "answer"),
        ({"answer": "Duration: 3.7s-0.4s"}, "answer"),
        ({"answer": "Duration: "}, "answer"),
        ({"abnormal_type": "PVC"}, "abnormal_type"),
        ({"abnormal_type": ["V"]}, "abnormal_type"),
        ({"anyecg": "x"}, "anyecg"),
    ],
)
def test_a_wrong_key_is_named_with_its_row(change, key, tmp_path):
    with pytest.raises(DataError, match=rf"rows\.json: row 2: {key}: "):
        list(read_released(written(tmp_path / "rows.json", [LOCATION, LOCATION | change])))


@pytest.mark.parametrize("key", ["question", "answer", "dataset", "task", "ecg_path", "ecg_start", "ecg_end"])
def test_a_missing_key_is_named(key):
    assert fault({name: value for name, value in LOCATION.items() if name != key}).startswith(f"{key}: not there")


def test_a_row_that_is_no_object():
    assert "JSON object" in fault(["question"])


def test_answers_are_read():
    assert intervals("Duration: 0.4s-3.7s, 4.6s-9.3s") == [(0.4, 3.7), (4.6, 9.3)]
    assert intervals("Duration: 0.9s-3.7s, 10.0s-10.0s") == [(0.9, 3.7), (10.0, 10.0)]  # so in the release
    assert intervals("No Paced beat Found") == [] and named("No Paced beat Found") == "/"
    assert intervals("Report: Sinus rhythm") is None and named("Duration: 0.4s-3.7s") is None


def test_the_class_is_found_without_its_symbol():
    row = {name: value for name, value in LOCATION.items() if name != "abnormal_type"}
    assert abnormality(row) == "V"
    assert abnormality(row | {"question": "Help me find the R-on-T premature ventricular contraction here."}) == "r"
    assert abnormality(row | {"question": "Where is it?", "answer": "No Atrial premature beat Found"}) == "A"
    assert abnormality(row | {"question": "Where is it?"}) is None and fault(
        row | {"question": "Where is it?"}
    ).startswith("abnormal_type")


def test_writing_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "rows.json"
    write_rows(path, [LOCATION])
    before = path.read_bytes()

    def failing():
        yield LOCATION
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_rows(path, failing())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match="choose another file"):
        write_rows(tmp_path / "nowhere" / "rows.json", [LOCATION])
