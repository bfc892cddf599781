"""The task `measure`: questions from whatever measures, what its parser reads, and its metrics."""

import math
from collections import Counter

import pytest

from anyecg.data.corpora import corpora
from anyecg.data.store.shards import build_store
from anyecg.data.store.store import Stores
from anyecg.simulate import simulate
from anyecg.tasks import tasks
from anyecg.tasks.base import Sources
from anyecg.tasks.measure.parser import Measured, read_measurement
from anyecg.tasks.measure.quantities import quantity
from anyecg.types import ConfigError, Prediction


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("measure")
    stores = []
    for name, patients, seconds in (("ludb", 8, None), ("mimic", 5, None), ("mit_bih_st", 2, 10)):
        kind = corpora[name]
        simulate(kind.layout, root / name, patients=patients, seconds=seconds, seed=2, workers=1, progress=False)
        stores.append(build_store(kind(kind.Config(), root / name), root / f"{name}-store", progress=False))
    return Sources(Stores(stores), {}, root)


def task(**settings):
    kind = tasks["measure"]
    return kind(kind.Config(**settings))


def test_questions_are_asked_of_what_measures_and_read_as_their_reference(sources):
    one = task()
    rows = list(one.build(sources))
    samples = [sample for _, sample in rows]
    assert {sample.subset for sample in samples} == {"ludb", "mimic"}  # beats without a measurement are not asked for
    assert len({sample.id for sample in samples}) == len(samples)
    assert max(Counter(sample.records[0].record for sample in samples).values()) == 4
    assert all(one.agrees(sample) for sample in samples)
    amplitudes = {sample.meta["quantity"] for sample in samples if "amplitude" in sample.meta["quantity"]}
    assert amplitudes == {"r_amplitude_V5", "s_amplitude_V1"}
    assert all(sample.subset == "ludb" for sample in samples if sample.meta["unit"] == "mV")
    assert any(sample.meta["value"] is None for _, sample in task(per_record=0).build(sources))
    assert [sample.id for _, sample in one.build(sources)] == [sample.id for sample in samples]


def test_right_answers_score_full_and_wrong_ones_nothing(sources):
    one = task(per_record=0)
    samples = [sample for _, sample in one.build(sources)]
    right = one.reduce(one.score(samples, [Prediction(sample.id, sample.answer) for sample in samples]))
    assert right["within_tolerance"] == right["not_measurable_agreed"] == right["not_measurable_found"] == 1
    assert right["median_error"] < 0.1 and "median_absolute_error" not in right
    silent = one.reduce(one.score(samples, [Prediction(sample.id, "I see an ECG.") for sample in samples]))
    assert silent["within_tolerance"] == silent["not_measurable_agreed"] == silent["answered"] == 0
    assert "median_error" not in silent
    given_up = one.reduce(one.score(samples, [Prediction(sample.id, "Not measurable") for sample in samples]))
    assert given_up["not_measurable_found"] == 1 and given_up["within_tolerance"] == 0


def test_errors_are_in_the_unit_and_tolerances_are_settings(sources):
    one = task(quantities=["qrs_axis"], tolerances={"qrs_axis": 5.0})
    samples = [sample for _, sample in one.build(sources)]
    off = [Prediction(sample.id, f"{sample.meta['value'] + 8:.0f}°") for sample in samples]
    found = one.reduce(one.score(samples, off))
    assert found["median_absolute_error"] == pytest.approx(8, abs=1) and found["within_tolerance"] == 0
    assert task(quantities=["qrs_axis"]).reduce(task().score(samples, off))["within_tolerance"] == 1
    assert list(one.blocks(one.score(samples, off))["quantity"]) == ["qrs_axis"]
    assert quantity("qrs_axis").error(-175, 178) == pytest.approx(7)
    with pytest.raises(ConfigError, match="quantities"):
        task(quantities=["pr"])
    with pytest.raises(ConfigError, match="tolerances"):
        task(tolerances={"pr": 2.0})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("pr_interval", "162 ms", 162),
        ("pr_interval", "0.16 s", 160),
        ("pr_interval", "0,16 s", 160),
        ("pr_interval", "160", 160),
        ("pr_interval", "<think>It may be 200 ms.</think>The PR interval is 162 ms.", 162),
        ("pr_interval", "PR interval: 162 ms, QRS 90 ms", 162),
        ("qrs_duration", "| quantity | value |\n|---|---|\n| PR | 162 ms |\n| QRS duration | 0.09 s |", 90),
        ("pr_interval", "0.16 s (162 ms)", 162),
        ("pr_interval", "160–170 ms", 165),
        ("pr_interval", "160 ± 10 ms", 160),
        ("pr_interval", "162 ms (normal 120-200 ms)", 162),
        ("pr_interval", "180 ms... wait, 162 ms", 162),
        ("pr_interval", '{"PR_interval_ms": 162, "QRS_ms": 90}', 162),
        ("heart_rate", "about 72 beats per minute", 72),
        ("heart_rate", "72/min", 72),
        ("heart_rate", "Heart rate 72 bpm over the 10 s recording", 72),
        ("heart_rate", '{"value": 72, "unit": "bpm"}', 72),
        ("qrs_axis", "-30°", -30),
        ("qrs_axis", "minus 30 degrees", -30),
        ("qrs_axis", "The QRS axis is −30 degrees (left axis deviation).", -30),
        ("r_amplitude_V5", "850 µV", 0.85),
        ("r_amplitude_V5", "The R wave in V5 is 12 mm", 1.2),
        ("r_amplitude_V5", "R in V5: 1.2 mV, S in V1: 0.8 mV", 1.2),
        ("st_level_V2", "-0.05 mV", -0.05),
        ("st_level_V2", "ST depression of 0.1 mV", -0.1),
        ("st_level_V2", "1 mm depression", -0.1),
        ("st_level_V2", "0.1 mV below the baseline", -0.1),
        ("st_level_V2", "no ST depression, 0.01 mV", 0.01),
        ("st_level_V2", "ST elevation 0.1 mV, no depression", 0.1),
    ],
)  # fmt: skip
def test_numbers_are_read_in_the_quantitys_unit(name, text, value):
    assert read_measurement(text, quantity(name)) == Measured(pytest.approx(value))


@pytest.mark.parametrize(
    "text",
    ["Not measurable", "N/A", "The PR interval is not measurable in atrial fibrillation.", "It cannot be measured."],
)
def test_what_cannot_be_measured(text):
    assert read_measurement(text, quantity("pr_interval")) == Measured(None)


@pytest.mark.parametrize(
    "text",
    [
        "", "normal", "160 or 180 ms", "> 200 ms", "less than 200 ms", "0.16", "120 to 200 ms", "not measurable, 162 ms",
        "QRS 90 ms", "162 ms, 190 ms", "The normal range is 120-200 ms.", "25 mm/s", "3 small squares", "RR 800 ms",
    ],
)  # fmt: skip
def test_what_is_no_one_value_is_not_read(text):
    assert read_measurement(text, quantity("pr_interval")) is None


def test_not_measurable_is_written_and_read():
    asked = quantity("pr_interval")
    assert asked.write(math.nan) == "Not measurable" and read_measurement(asked.write(math.nan), asked) == Measured(
        None
    )
    assert quantity("qrs_axis").write(-0.2) == "0 degrees"
