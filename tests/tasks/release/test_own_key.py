"""What stands under our own key of a released row, and numbers that no recording has, are named with row and key."""

import json

import pytest

from anyecg.tasks.release.rows import read_released
from anyecg.types import DataError

ROW = {
    "question": "On this ECG, where can I see the Right bundle branch block beat?",
    "answer": "Duration: 0.0s-10.0s",
    "ecg_path": "111",
    "dataset": "mit_bih_arrhythmia",
    "task": "location",
    "abnormal_type": "R",
    "ecg_start": 38102,
    "ecg_end": 41702,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"anyecg": {"id": 5}}, "row 2: anyecg.id: 5 is no such field"),
        ({"anyecg": {"split": "nowhere"}}, "row 2: anyecg.split: 'nowhere'"),
        ({"anyecg": {"records": [["a", "b", 1]]}}, "row 2: anyecg.records"),
        ({"anyecg": {"other": 1}}, "row 2: anyecg.other: is no field"),
        ({"ecg_end": 10**400}, "row 2: ecg_end: 1000"),
    ],
)
def test_a_row_that_is_damaged(tmp_path, changed, message):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([ROW, ROW | changed]).replace('"ecg_end": 1e+400', f'"ecg_end": {10**400}'))
    with pytest.raises(DataError, match=message):
        list(read_released(path))


def test_a_row_with_our_key(tmp_path):
    own = {"id": "a", "split": "test", "records": [["a", 0.0, None]], "conversation": [["user", "b"]], "meta": {}}
    (tmp_path / "rows.json").write_text(json.dumps([ROW | {"anyecg": own}]))
    assert len(list(read_released(tmp_path / "rows.json"))) == 1
