"""The shuffled control: other patients' ECGs, the same questions, the same draw every time."""

from collections import Counter

import pytest

from anyecg.evaluation.controls import shuffled
from anyecg.types import DataError, ECGSample, Turn, Window


def sample(i, patient, task="localization", subset="mit_bih", n=1, name="PVC"):
    return ECGSample(
        id=f"{task}{i}", task=task, patient=patient, subset=subset, records=tuple(Window(f"{patient}-{i}-{k}") for k in range(n)),
        conversation=(Turn("user", "<ecg>" * n), Turn("assistant", f"a{i}")), evidence=tuple(f"e{i}" for _ in range(n)), meta={"name": name},
    )  # fmt: skip


def owner(window):
    return window.record.split("-")[0]


SAMPLES = (
    [sample(i, f"p{i % 7}", name=("PVC", "AF")[i % 2]) for i in range(40)]
    + [sample(i, f"p{i % 5}", "multi_ecg", str(n), n) for n in (2, 3) for i in range(n * 100, n * 100 + 12)]
)


def test_each_question_gets_ecgs_of_another_patient_and_keeps_everything_else():
    for before, after in zip(SAMPLES, shuffled(SAMPLES, 0), strict=True):
        assert (before.id, before.conversation, before.meta, before.patient) == (after.id, after.conversation, after.meta, after.patient)
        assert len(after.records) == len(before.records) and all(owner(window) != before.patient for window in after.records)
        assert after.evidence != before.evidence


def test_ecgs_are_exchanged_one_to_one_within_task_subset_number_and_abnormality():
    kind = {window.record: (s.task, s.subset, s.meta["name"]) for s in SAMPLES for window in s.records}
    after = shuffled(SAMPLES, 0)
    assert all(kind[s.records[0].record] == (s.task, s.subset, s.meta["name"]) for s in after)
    assert Counter(s.records for s in after) == Counter(s.records for s in SAMPLES)


def test_the_draw_is_seeded_and_does_not_depend_on_the_order():
    once = shuffled(SAMPLES, 3)
    assert once == shuffled(SAMPLES, 3) != shuffled(SAMPLES, 4)
    assert shuffled(SAMPLES[::-1], 3)[::-1] == once


def test_a_patient_with_most_of_the_questions_and_a_lonely_group_draw_from_wider_ones():
    samples = [*(sample(i, "a") for i in range(5)), sample(5, "b"), sample(6, "c", name="AF"), sample(7, "d", subset="ptbxl", name="AF")]
    assert all(owner(window) != s.patient for s in shuffled(samples) for window in s.records)


def test_where_no_other_patient_has_as_many_ecgs_single_ones_are_lent():
    samples = [sample(0, "a", n=4), *(sample(i, "b", n=2) for i in (1, 2, 3)), sample(4, "c", n=2)]
    after = shuffled(samples)
    assert len(set(after[0].records)) == 4 and all(owner(window) != s.patient for s in after for window in s.records)
    assert len(shuffled([sample(0, "a", n=4), sample(1, "b")])[0].records) == 4


def test_without_another_patient_it_says_so():
    with pytest.raises(DataError, match="one patient.*evaluation.views"):
        shuffled([sample(0, "a"), sample(1, "a")])
