"""The task `reasoning`: chains by rule, the released layout, and that a chain is right only if all of its steps are."""

import json
import math

import pytest

from anyecg.data.corpora import corpora
from anyecg.data.store.shards import build_store
from anyecg.data.store.store import Stores
from anyecg.simulate import simulate
from anyecg.tasks import tasks
from anyecg.tasks.base import Sources
from anyecg.tasks.reasoning.released import chain_in
from anyecg.tasks.reasoning.rules import BY_NAME, RULES
from anyecg.types import ConfigError, DataError, Prediction

NORMAL = {
    "heart_rate": 72.0, "pr_interval": 160.0, "qrs_duration": 92.0, "qtc_interval": 420.0, "qrs_axis": 40.0, "s_amplitude_V1": 0.8, "r_amplitude_V5": 1.2,
    **{f"st_level_{lead}": 0.0 for lead in ("I", "II", "III", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")},
}  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("reasoning")
    stores = []
    for name, patients in (("ludb", 12), ("ptbxl", 3)):
        kind = corpora[name]
        simulate(kind.layout, root / name, patients=patients, seed=5, workers=1, progress=False)
        stores.append(build_store(kind(kind.Config(), root / name), root / f"{name}-store", progress=False))
    return Sources(Stores(stores), {}, root)


def task(**settings):
    kind = tasks["reasoning"]
    return kind(kind.Config(**settings))


@pytest.mark.parametrize(("name", "changed", "holds"), [
    ("first_degree_av_block", {}, False), ("first_degree_av_block", {"pr_interval": 240.0}, True), ("first_degree_av_block", {"pr_interval": 203.0}, None),
    ("first_degree_av_block", {"pr_interval": math.nan}, None), ("bradycardia", {"heart_rate": 48.0}, True), ("tachycardia", {"heart_rate": 48.0}, False),
    ("left_axis_deviation", {"qrs_axis": -50.0}, True), ("right_axis_deviation", {"qrs_axis": 120.0}, True), ("left_ventricular_hypertrophy", {"r_amplitude_V5": 3.4}, True),
    ("st_elevation_inferior", {"st_level_II": 0.2}, False), ("st_elevation_inferior", {"st_level_II": 0.2, "st_level_aVF": 0.15}, True),
    ("st_elevation_anterior", {"st_level_V1": math.nan}, None), ("long_qt", {"qtc_interval": 500.0}, True), ("wide_qrs", {"qrs_duration": 150.0}, True),
])  # fmt: skip
def test_rules_decide_and_leave_out_what_lies_near_their_threshold(name, changed, holds):
    assert BY_NAME[name].holds(NORMAL | changed) is holds


def test_a_normal_ecg_has_no_diagnosis_and_every_range_is_an_option():
    for rule in RULES:
        assert rule.holds(NORMAL) is False
        assert 0 <= rule.place(NORMAL) < len(rule.ranges()) == len(rule.edges) + 1
        assert rule.threshold in rule.edges  # so that the range that was measured decides


def test_chains_are_built_by_rule_and_read_as_their_reference(sources):
    one = task(per_record=3)
    rows = list(one.build(sources))
    samples = [sample for _, sample in rows]
    assert {sample.subset for sample in samples} == {"ludb"}  # PTB-XL measures nothing
    assert all(one.agrees(sample) for sample in samples)
    chains = {}
    for split, sample in rows:
        chains.setdefault(sample.meta["chain"], []).append((split, sample))
    kinds = set()
    for steps in chains.values():
        assert [sample.meta["step"] for _, sample in steps] == list(range(steps[0][1].meta["steps"]))
        assert len({split for split, _ in steps}) == 1
        assert [sample.meta["kind"] for _, sample in steps][0] == "finding"
        assert len(steps[-1][1].conversation) == 2 * len(steps) and steps[-1][1].meta["kind"] == "decision"
        assert steps[0][1].meta["right"] == steps[-1][1].meta["right"]
        kinds |= {sample.meta["kind"] for _, sample in steps}
    assert kinds == {"finding", "lead", "wave", "measurement", "decision"}
    assert [sample.id for _, sample in one.build(sources)] == [sample.id for sample in samples]


def test_a_chain_is_right_only_if_all_of_its_steps_are(sources):
    one = task(per_record=1)
    samples = [sample for _, sample in one.build(sources)]
    right = [Prediction(sample.id, sample.answer) for sample in samples]
    perfect = one.reduce(one.score(samples, right))
    assert perfect["completion"] == perfect["step_accuracy"] == perfect["depth"] == perfect["decision_accuracy"] == 1
    assert 0 < perfect["chance"] < 0.5
    broken = [
        Prediction(sample.id, "I cannot tell." if sample.meta["kind"] == "measurement" else sample.answer)
        for sample in samples
    ]
    rows = one.score(samples, broken)
    found = one.reduce(rows)
    assert found["completion"] == 0 and found["decision_accuracy"] == 1 and 0 < found["depth"] < 1
    assert found["step_accuracy"] == pytest.approx(1 - 1 / (len(samples) / rows["chain"].nunique()), abs=0.1)
    part = [sample for sample in samples if sample.meta["kind"] != "finding"]
    assert "completion" not in one.reduce(one.score(part, [Prediction(s.id, s.answer) for s in part]))
    assert set(one.blocks(rows)) == {"step", "diagnosis"}


def released(dx_label=True):
    """A file as ECG-Reasoning-Benchmark's README describes it."""
    yes = {"options": ["Yes", "No"], "answer": "Yes", "answer_idx": 0}
    return {
        "metadata": {"data_source": "ptbxl", "ecg_id": "1", "target_dx": "first_degree_av_block", "dx_label": dx_label, "path_idx": 0},
        "data": {
            "initial_diagnostic_question": {"question": "Is there a block?", "options": ["Yes", "No"], "question_type": "initial_diagnostic_question"},
            "reasoning": [{
                "criterion_selection": {"question": "Which?", "options": ["PR interval", "QRS width"], "answer": "PR interval", "answer_idx": 0, "question_type": "criterion_selection"},
                "finding_identification": {"question": "Is it long?", "question_type": "finding_identification", **yes},
                "ecg_grounding": [
                    {"question": "Which leads?", "options": ["Lead II", "Lead V1", "Lead V5"], "answer": ["Lead II", "Lead V5"], "answer_idx": [0, 2], "question_type": "lead_grounding"},
                    {"question": "Which range?", "options": ["[1.75s - 1.84s]", "[4.93s - 5.12s]"], "answer": "[4.93s - 5.12s]", "answer_idx": 1, "question_type": "wave_grounding"},
                ],
                "diagnostic_decision": {"question": "So?", "options": ["Yes", "No", "Further findings are required to confirm the diagnosis"], "answer": "Yes", "answer_idx": 0, "question_type": "diagnostic_decision"},
            }],
        },
    }  # fmt: skip


def test_the_released_layout_is_a_source_of_questions(sources, tmp_path):
    folder = tmp_path / "ptbxl" / "first_degree_av_block"
    folder.mkdir(parents=True)
    (folder / "0.json").write_text(json.dumps(released()))
    lost = released()
    lost["metadata"]["ecg_id"] = "99999"
    (folder / "1.json").write_text(json.dumps(lost))
    one = task(per_record=0, folders={"ptbxl": str(tmp_path / "ptbxl")})
    samples = [sample for _, sample in one.build(sources)]
    assert [sample.meta["kind"] for sample in samples] == ["diagnosis", "criterion", "finding", "lead", "wave", "decision"]
    assert all(one.agrees(sample) for sample in samples) and samples[0].records[0].record == "ptbxl/1"
    assert one.parse("Lead II and Lead V5", samples[3]) == {0, 2} and one.parse("Lead II", samples[3]) == {0}
    assert one.parse("[4.93s - 5.12s]", samples[4]) == {1} and one.parse("A", samples[4]) == {0}
    assert sources.dropped["reasoning", "chain about a recording that is not in the store"] == 1
    assert one.settings(sources)["folders"]["ptbxl"] and not one.check(["ptbxl"]) and one.check(["mimic"])
    (folder / "2.json").write_text("{}")
    with pytest.raises(DataError, match=r"2\.json"):
        list(one.build(sources))


def test_files_of_the_first_commits_are_read_too():
    content = released()
    steps = content["data"].pop("reasoning")
    steps[0]["finding"], steps[0]["grounding"] = steps[0].pop("finding_identification"), steps[0].pop("ecg_grounding")
    steps[0]["decision"] = steps[0].pop("diagnostic_decision")
    content["data"]["path_1"] = steps
    assert chain_in(content).steps == chain_in(released()).steps


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match="diagnoses"):
        task(diagnoses=["angina"])
