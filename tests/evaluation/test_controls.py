"""The shuffled control: other patients' ECGs, the same questions, the same draw every time."""

from collections import Counter
from dataclasses import replace

import pytest

from anyecg.evaluation.controls import patients_of, shuffled
from anyecg.types import DataError, ECGSample, Turn, Window


def sample(i, patient, task="localization", subset="mit_bih", n=1, name="PVC"):
    return ECGSample(
        id=f"{task}{i}", task=task, patient=patient, subset=subset, records=tuple(Window(f"{patient}-{i}-{k}") for k in range(n)),
        conversation=(Turn("user", "<ecg>" * n), Turn("assistant", f"a{i}")), evidence=tuple(f"e{i}" for _ in range(n)), meta={"name": name},
    )  # fmt: skip


def owner(window):
    return window.record.split("-")[0]


SAMPLES = [sample(i, f"p{i % 7}", name=("PVC", "AF")[i % 2]) for i in range(40)] + [
    sample(i, f"p{i % 5}", "multi_ecg", str(n), n) for n in (2, 3) for i in range(n * 100, n * 100 + 12)
]


def test_each_question_gets_ecgs_of_another_patient_and_keeps_everything_else():
    for before, after in zip(SAMPLES, shuffled(SAMPLES, 0), strict=True):
        assert (before.id, before.conversation, before.meta, before.patient) == (
            after.id,
            after.conversation,
            after.meta,
            after.patient,
        )
        assert len(after.records) == len(before.records) and all(
            owner(window) != before.patient for window in after.records
        )
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
    samples = [
        *(sample(i, "a") for i in range(5)),
        sample(5, "b"),
        sample(6, "c", name="AF"),
        sample(7, "d", subset="ptbxl", name="AF"),
    ]
    assert all(owner(window) != s.patient for s in shuffled(samples) for window in s.records)


def test_where_no_other_patient_has_as_many_ecgs_single_ones_are_lent():
    samples = [sample(0, "a", n=4), *(sample(i, "b", n=2) for i in (1, 2, 3)), sample(4, "c", n=2)]
    after = shuffled(samples)
    assert len(set(after[0].records)) == 4 and all(owner(window) != s.patient for s in after for window in s.records)
    assert len(shuffled([sample(0, "a", n=4), sample(1, "b")])[0].records) == 4


def of_two(i, first, second, records=None):
    """A question over one ECG of each of two patients, such as ECG-QA's `comparison_irrelevant`; it names the first."""
    windows = records or (Window(f"{first}-{i}-0"), Window(f"{second}-{i}-1"))
    return replace(sample(i, first, "ecg_qa", "comparison_irrelevant-verify", 2, name=""), records=tuple(windows))


TWO = [of_two(i, f"p{i % 11}", f"p{(3 * i + 5) % 11}") for i in range(60)]
PATIENTS = {window.record: owner(window) for one in TWO for window in one.records}


@pytest.mark.parametrize("seed", range(5))
def test_a_donor_has_neither_of_two_patients(seed):
    assert any(
        {owner(w) for w in before.records} & {owner(w) for w in after.records}
        for before, after in zip(TWO, shuffled(TWO, seed))
    )
    after = shuffled(TWO, seed, PATIENTS)
    for before, lent in zip(TWO, after, strict=True):
        assert not {before.patient, *map(owner, before.records)} & set(map(owner, lent.records))
    exchanged = Counter(one.records for one in after)
    assert sum(exchanged[one.records] == 1 for one in TWO) > 30  # most are still exchanged one to one
    assert shuffled(TWO[::-1], seed, PATIENTS)[::-1] == after


def test_a_donor_shares_no_record_even_where_patients_are_not_known():
    shared = Window("shared-0-0")
    samples = [
        of_two(0, "a", "x", (Window("a-0-0"), shared)),
        of_two(1, "b", "x", (Window("b-1-0"), shared)),
        of_two(2, "c", "d"),
        of_two(3, "e", "f"),
    ]
    for before, after in zip(samples, shuffled(samples), strict=True):
        assert not set(before.records) & set(after.records)


def test_questions_of_one_patient_each_are_shuffled_as_they_were_without_patients():
    owners = {window.record: owner(window) for one in SAMPLES for window in one.records}
    assert shuffled(SAMPLES, 0, owners) == shuffled(SAMPLES, 0)


def test_where_every_question_shares_a_patient_it_says_so():
    with pytest.raises(DataError, match="ecg_qa0: .*share one with it.*evaluation.views"):
        shuffled(
            [of_two(0, "a", "b"), of_two(1, "b", "c")], 0, {"a-0-0": "a", "b-0-1": "b", "b-1-0": "b", "c-1-1": "c"}
        )


def test_patients_are_those_of_the_stores(small_data):
    asked = [
        small_data.questions[int(row)]
        for row in small_data.questions.select(split="test", pool=["multi_ecg", "localization_long"])
    ]
    assert {window.record: one.patient for one in asked for window in one.records} == patients_of(
        asked, small_data.stores
    )
    assert patients_of([], small_data.stores) == {}


def test_without_another_patient_it_says_so():
    with pytest.raises(DataError, match="one patient.*evaluation.views"):
        shuffled([sample(0, "a"), sample(1, "a")])


def test_lent_windows_are_of_nearly_the_same_length():
    seconds = {f"r{i}": 10 * 1.3 ** (i % 5) for i in range(60)}
    samples = [replace(sample(i, f"p{i % 12}"), records=(Window(f"r{i}"),)) for i in range(60)]
    after = shuffled(samples, 0, seconds=lambda window: seconds[window.record])
    ratios = [seconds[new.records[0].record] / seconds[old.records[0].record] for old, new in zip(samples, after)]
    assert all(0.8 < ratio < 1.25 for ratio in ratios)
    # windows that say where they end
    cut = [
        replace(one, records=(Window(one.records[0].record, 0.0, seconds[one.records[0].record]),)) for one in samples
    ]
    assert [one.records[0].record for one in shuffled(cut, 0)] == [one.records[0].record for one in after]
