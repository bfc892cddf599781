"""Localization: tolerant parsing, IoU of unions, and no reward for always answering "No X Found"."""

import numpy as np
import pytest

from anyecg.tasks.localization.intervals import iou, union
from anyecg.tasks.localization.task import Localization
from anyecg.types import DataError, ECGSample, Prediction, Turn, Window

TASK = Localization()


def question(
    i=0, intervals=((0.4, 3.7), (4.6, 9.3)), name="Premature ventricular contraction", seconds=10.0, patient=None
):
    answer = "Duration: " + ", ".join(f"{s}s-{e}s" for s, e in intervals) if intervals else f"No {name} Found"
    return ECGSample(
        id=f"q{i}", task="localization", records=(Window(f"r{i}"),), patient=patient or f"p{i}", subset="mit_bih_arrhythmia",
        conversation=(Turn("user", f"<ecg> Where is {name}?"), Turn("assistant", answer)),
        meta={"name": name, "symbol": "V", "seconds": seconds, "intervals": [list(pair) for pair in intervals]},
    )  # fmt: skip


def metrics(samples, texts):
    return TASK.reduce(TASK.score(samples, [Prediction(s.id, text) for s, text in zip(samples, texts)]))


@pytest.mark.parametrize(
    "text, intervals",
    [
        ("Duration: 0.4s-3.7s, 4.6s-9.3s", [[0.4, 3.7], [4.6, 9.3]]),
        ("Duration: 2.0s-4.0s.", [[2, 4]]),
        ("2.0s - 4.0s", [[2, 4]]),
        ("2.0-4.0 s", [[2, 4]]),
        ("2.0-4.0.", [[2, 4]]),
        ("It lasts from 2 to 4 seconds", [[2, 4]]),
        ("between 2 s until 4 s", [[2, 4]]),
        ("duration: 2.0S–4.0S", [[2, 4]]),
        ("Duration: 1.0s-3.0s, 2.0s-5.0s", [[1, 5]]),
        ("Duration: 4.6s-9.3s, 0.4s-3.7s", [[0.4, 3.7], [4.6, 9.3]]),
        ("Duration: 8.0s-14.0s", [[8, 10]]),
        ("Duration: 8.0s-14.0s, 20.0s-21.0s", [[8, 10]]),
        ("Duration: 1.9s-3.1s, 6.8s-", [[1.9, 3.1]]),
        ("At a rate of 60-100 bpm, PVCs in 2.0s-4.0s", [[2, 4]]),
        ("No Premature ventricular contraction Found", []),
        ("no premature ventricular contraction found.", []),
        ("No PVC is detected", []),
        ("None.", []),
        ("between 2 and 4 seconds", [[2, 4]]),
        ("Seen between 2.0s and 4.0s.", [[2, 4]]),
        ("[2.0, 4.0]", [[2, 4]]),
        ("[[0.4, 3.7], [4.6, 9.3]]", [[0.4, 3.7], [4.6, 9.3]]),
        ("(2.0s, 4.0s)", [[2, 4]]),
        ("It starts at 2.0 s and ends at 4.0 s", [[2, 4]]),
        ("begins at 2s, stops at 4s", [[2, 4]]),
        ("PVC: 2.0s-4.0s, no other PVCs", [[2, 4]]),
        ("2.0s-4.0s, no atrial fibrillation", [[2, 4]]),
        ("2.0s-4.0s; no other PVCs found", [[2, 4]]),
        ("No PVCs", []),
        ("There are no PVCs.", []),
        ("There is no PVC in this ECG", []),
        ("No, there are no premature ventricular contractions in the recording.", []),
        ("No evidence of premature ventricular contraction", []),
        ("There are no abnormalities.", []),
        ("No PVCs but PACs", []),
        ("Duration: none", []),
        ("Duration: None.", []),
    ],
)
def test_answers_are_read_tolerantly(text, intervals):
    np.testing.assert_allclose(TASK.parse(text, question()), np.array(intervals).reshape(-1, 2))


@pytest.mark.parametrize(
    "text",
    [
        "", "A", "At a rate of 60-100 bpm, seen in 2.0s-4.0s", "sinus rhythm", "Duration:", "Duration: 4.0s-2.0s", "Duration: 1.0s-2.0s, 5.0s-4.0s", "60-100 bpm", "200ms - 300ms",
        "in V1-4 there is", "No PVC Found, Duration: 1.0s-2.0s", "Duration: 30.0s-31.0s", "Duration: 2.0s-2.0s",
        "Duration: 1.0s", "No atrial fibrillation", "No", "No PVCs after 4 s", "No other PVCs", "No further PVCs found", "There is no doubt that PVCs occur",
        "There are no PVCs, 1.0s-2.0s", "between 1 and 2 seconds there are no PVCs", "[1.0, 2.0], no PVCs", "Duration: none, 1.0s-2.0s none found",
        "between 2 and 4 PVCs", "between 60 and 100 bpm", "between leads 2 and 4", "2-4 PVCs", "There are 2 to 4 beats", "[2, 4]", "leads (1, 2)",
        "(1.0, 2.0, 3.0)", "[2.0, 4.0", "starts at 60 bpm and ends at 100 bpm", "starts at 2.0 s", "starts at 4.0 s and ends at 2.0 s", "[4.0, 2.0]",
        "between 4 and 2 seconds", "1.0s- no PVC PVC 2.0", "no no PVC no", "duration none none",
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_unparsed_and_scores_nothing(text):
    for sample in (question(), question(intervals=())):
        assert TASK.parse(text, sample) is None
        row = TASK.score([sample], [Prediction(sample.id, text)]).iloc[0]
        assert not row["parsed"] and row["iou"] == 0 and not row["detected"]


def test_iou_is_of_unions_and_never_above_one():
    truth = union([[0, 4]], 10)
    assert iou(union([[0, 4], [0, 4], [1, 3]], 10), truth) == 1.0
    assert iou(union([[0, 2]], 10), truth) == 0.5
    assert iou(union([], 10), union([], 10)) == 1.0
    assert iou(union([], 10), truth) == 0.0 == iou(truth, union([], 10))
    rng = np.random.default_rng(0)
    for _ in range(200):
        said, true = (union(np.sort(rng.uniform(-2, 12, (rng.integers(0, 5), 2)), axis=1), 10) for _ in range(2))
        grid = np.arange(0, 10, 0.002) + 0.001
        a, b = (((grid[:, None] >= x[:, 0]) & (grid[:, None] < x[:, 1])).any(axis=1) for x in (said, true))
        slow = (a & b).sum() / (a | b).sum() if (a | b).any() else 1.0
        assert 0 <= iou(said, true) <= 1 and iou(said, true) == pytest.approx(slow, abs=0.01)


def test_the_share_of_unread_answers_is_a_metric():
    samples = mixed()
    found = metrics(samples, ["Duration: 1.0s", *(s.answer for s in samples[1:3]), "?"])
    assert found["unparsed"] == 0.5 and found["sensitivity"] == found["specificity"] == 0.5


def test_touching_and_overlapping_intervals_are_one():
    np.testing.assert_array_equal(union([[3, 5], [0, 3], [4, 4.5]], 10), [[0, 5]])


def mixed():
    return [
        question(0),
        question(1, ()),
        question(2, [(1, 2)], "Atrial fibrillation"),
        question(3, (), "Atrial fibrillation"),
    ]


def test_the_reference_answers_score_the_maximum():
    samples = mixed()
    found = metrics(samples, [s.answer for s in samples])
    assert all(found[m] == 1 for m in TASK.metrics if m != "unparsed" and not m.endswith("_error"))
    assert found["onset_error"] == found["offset_error"] == found["unparsed"] == 0


def test_always_no_x_found_does_not_look_good():
    samples = [question(i, () if i < 9 else [(1, 2)]) for i in range(10)]
    found = metrics(samples, [f"No {s.meta['name']} Found" for s in samples])
    assert found["iou_micro"] == pytest.approx(0.9)
    assert found["iou_positive"] == found["sensitivity"] == 0 and found["iou_negative"] == found["specificity"] == 1
    assert found["iou_balanced"] == 0.5
    everything = metrics(samples, ["Duration: 0.0s-10.0s"] * 10)
    assert everything["sensitivity"] == 1 and everything["iou_balanced"] < 0.1


def test_an_interval_elsewhere_is_no_detection():
    samples = [question(0, [(1, 2)]), question(1, [(4, 5), (7, 8)]), question(2, ())]
    found = metrics(samples, ["Duration: 3.0s-9.0s", "Duration: 0.5s-1.0s, 7.5s-9.0s", "Duration: 0.0s-1.0s"])
    assert found["sensitivity"] == 0.5 and found["specificity"] == 0


def test_an_abnormality_without_positives_or_without_negatives_is_left_out_of_the_balance():
    samples = [*mixed(), question(4, (), "Paced beat")]
    found = metrics(samples, [s.answer for s in samples[:4]] + ["Duration: 1.0s-2.0s"])
    assert found["iou_balanced"] == 1 and found["iou_macro"] == pytest.approx(2 / 3)
    assert "iou_balanced" not in metrics(samples[:1], ["No X Found"])


def test_macro_weighs_abnormalities_alike():
    samples = [question(0), question(1), question(2), question(3, [(1, 2)], "Atrial fibrillation")]
    found = metrics(samples, [s.answer for s in samples[:3]] + ["No Atrial fibrillation Found"])
    assert found["iou_micro"] == 0.75 and found["iou_macro"] == 0.5


def test_onset_and_offset_errors_are_of_intervals_that_overlap_one_to_one():
    sample = question(0, [(1, 2), (4, 5), (7, 8), (8.5, 9)])
    found = metrics([sample], ["Duration: 1.2s-2.1s, 3.8s-5.0s, 7.0s-9.0s"])
    assert found["onset_error"] == pytest.approx(0.2) and found["offset_error"] == pytest.approx(0.05)
    rows = TASK.score([sample], [Prediction("q0", "No X Found")])
    assert "onset_error" not in TASK.reduce(rows) and any("onset_error" in note for note in TASK.notes(rows))
    assert any("has no negative question: Premature" in note for note in TASK.notes(rows))


def test_breakdowns_by_subset_and_abnormality():
    samples = mixed()
    blocks = TASK.blocks(TASK.score(samples, [Prediction(s.id, s.answer) for s in samples]))
    assert (
        blocks["abnormality"]["Atrial fibrillation"]["n"] == 2
        and blocks["subset"]["mit_bih_arrhythmia"]["iou_macro"] == 1
    )
    assert blocks["subset and abnormality"]["mit_bih_arrhythmia: Atrial fibrillation"]["n"] == 2


def test_scoring_wants_each_question_answered_once():
    samples = mixed()
    good = [Prediction(s.id, s.answer) for s in samples]
    for bad, message in (
        (good[1:], "q0"),
        (good + good[:1], "two answers"),
        ([*good, Prediction("q9", "")], "never asked"),
    ):
        with pytest.raises(DataError, match=message):
            TASK.score(samples, bad)
    with pytest.raises(DataError, match="no questions"):
        TASK.score([], [])
    with pytest.raises(DataError, match="share an id"):
        TASK.score([samples[0], samples[0]], good[:1])
    with pytest.raises(DataError, match="no rows"):
        TASK.reduce(TASK.score(samples, good).iloc[:0])
