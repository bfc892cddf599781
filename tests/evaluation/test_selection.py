"""What is asked: told before anything is trained where there is nothing, and no corpus of the evaluation reaches a
stage.
"""

import json
from pathlib import Path

import pytest

from anyecg import config
from anyecg.cli.run import is_finished
from anyecg.evaluation.controls import patients_of
from anyecg.evaluation.conversation import Script
from anyecg.evaluation.report import head, too_few
from anyecg.evaluation.run import Run, claim_folder
from anyecg.evaluation.selection import require_questions, require_views
from anyecg.run import main
from anyecg.tasks import tasks
from anyecg.tasks.base import Task
from anyecg.tasks.build import build_data
from anyecg.training.assembly import data_of, evaluation_data
from anyecg.training.pipeline import plan
from anyecg.types import ConfigError, DataError
from tests.conftest import SMALL

EXPERIMENT, WHOLE = "experiments/anyecg_chat.yaml", "experiments/evaluation.yaml"
FEW = (
    "evaluation.corpora.cpsc2018.patients=60",
    "evaluation.corpora.csn.patients=60",
    "evaluation.limit=10",
    "evaluation.max_new_tokens=4",
    "evaluation.bootstrap=20",
)


def test_every_task_without_questions_is_told_with_what_helps(small_data):
    def required(*overrides, scripts=()):
        require_questions(small_data, config.load(EXPERIMENT, [*SMALL, *overrides]), scripts)

    with pytest.raises(
        DataError,
        match="ecg_qa has no question in the split test; set evaluation.task_settings.ecg_qa.folders.ptbxl .*simulated",
    ) as error:
        required("evaluation.tasks=[multi_ecg,ecg_qa]")
    assert "multi_ecg" not in str(error.value) and all(tasks[name].needs != Task.needs for name in tasks.table())
    with pytest.raises(
        DataError,
        match="classification has no question in the split val; evaluation.split is another one: test has [0-9]+",
    ):
        required("evaluation.tasks=[classification]", "evaluation.split=val")
    with pytest.raises(DataError, match="'talk' opens with a question of report; add report to evaluation.tasks"):
        required("evaluation.tasks=[multi_ecg]", scripts=[Script("talk", "report", ("Why?",))])


def test_one_patient_alone_cannot_be_shuffled_and_it_is_told(small_data):
    """Before training: the same DataError came after it."""
    task = tasks["multi_ecg"](info=small_data.questions.info)
    rows = small_data.questions.select(split="test", task="multi_ecg")
    samples = [small_data.questions[int(row)] for row in rows]
    alone = [sample for sample in samples if sample.patient == samples[0].patient]
    patients = patients_of(samples, small_data.stores)

    def required(samples, views):
        require_views({"multi_ecg": samples}, {"multi_ecg": task}, views, small_data.stores, patients, 0)

    required(samples, ["signal", "blind", "shuffled"])
    required(alone, ["signal", "blind"])
    with pytest.raises(DataError, match=r"evaluation.views: shuffled of multi_ecg: .*evaluate more patients"):
        required(alone, ["signal", "blind", "shuffled"])


@pytest.mark.parametrize(("override", "told"), [
    ("evaluation.tasks=[ecg_qa]", "ecg_qa has no question"), ("evaluation.conversations=experiments/conversations.yaml", "add report to evaluation.tasks"),
    ("evaluation.conversations=nowhere.yaml", "nowhere.yaml"),
])  # fmt: skip
def test_the_command_tells_it_before_training(small_cache, tmp_path, monkeypatch, capsys, override, told):
    monkeypatch.setattr("anyecg.evaluation.run.run_curriculum", lambda *_: pytest.fail("trained"))
    assert main([EXPERIMENT, *SMALL, f"cache={small_cache}", f"output={tmp_path}", override]) == 2
    assert told in capsys.readouterr().err


def test_what_only_the_evaluation_sees_changes_no_stage(small_cache):
    recipe, whole = (
        config.load(path, [*SMALL, *extra, f"cache={small_cache}"]) for path, extra in ((EXPERIMENT, ()), (WHOLE, FEW))
    )
    data = data_of(whole)
    assert data.fingerprint == data_of(recipe).fingerprint
    assert [stage.key for stage in plan(whole, data.fingerprint)] == [
        stage.key for stage in plan(recipe, data.fingerprint)
    ]
    asked = evaluation_data(whole, data)
    assert evaluation_data(recipe, data) is data and asked.fingerprint != data.fingerprint
    run, other = (Run(whole, "folder") for _ in range(2))
    run.data = other.data = other.evaluation_data = data
    run.evaluation_data = asked
    assert run.key() != other.key()
    for split in ("train", "val", "test"):  # nothing of the recipe's is asked otherwise
        before, after = (
            {q.id: q for q in map(part.questions.__getitem__, part.questions.select(split=split).tolist())}
            for part in (data, asked)
        )
        assert all(after[id] == question for id, question in before.items())
        assert {q.task for id, q in after.items() if id not in before} == (
            {"ecg_qa"} if split != "test" else {"ecg_qa", "classification"}
        )
    assert {"cpsc2018", "csn"} <= {
        asked.questions[int(row)].subset for row in asked.questions.select(task="classification")
    }


def test_corpora_of_twelve_lead_records_with_labels_add_no_training_question(small_cache, small_data):
    """The same corpora under `corpora`: other stages' keys, but no other question to learn from."""
    experiment = config.load(EXPERIMENT, [*SMALL, "corpora.cpsc2018.patients=60", "corpora.csn.patients=60"])
    more = build_data(experiment.corpora, experiment.tasks, small_cache, experiment.tasks_seed, progress=False)
    train = [
        [questions[int(row)] for row in questions.select(split="train")]
        for questions in (small_data.questions, more.questions)
    ]
    assert train[0] == train[1]


def test_a_built_dataset_has_its_own_questions(tmp_path):
    with pytest.raises(ConfigError, match="build it with them"):
        evaluation_data(config.load(WHOLE, [f"dataset={tmp_path}"]), None)


def test_a_configuration_older_than_a_key_means_the_same(tmp_path):
    experiment = config.load(EXPERIMENT)
    folder = claim_folder(tmp_path / "run", experiment)
    path = folder / "config.yaml"
    lines = path.read_text().splitlines()
    older = [
        line for line in lines if line.strip() not in ("corpora: {}", "task_settings: {}") or not line.startswith("  ")
    ]
    assert len(older) < len(lines)
    path.write_text("\n".join(older))
    claim_folder(tmp_path / "run", experiment)
    assert [one.name for one in tmp_path.iterdir()] == ["run"] and path.read_text().splitlines() == lines
    assert not is_finished(experiment, str(tmp_path / "run"))


@pytest.mark.slow
def test_the_whole_evaluation_from_one_command(small_cache, tmp_path, monkeypatch):
    """Five tasks, six views, three corpora with labels and the shipped conversations, with and without the ECG,
    counted turn by turn.
    """
    command = [WHOLE, *SMALL, *FEW, f"cache={small_cache}", f"output={tmp_path}", "curriculum=[stage1]"]
    assert main(command) == 0
    (run,) = tmp_path.iterdir()
    metrics = json.loads((run / "metrics.json").read_text())["tasks"]
    assert set(metrics) == {"report", "classification", "localization", "multi_ecg", "ecg_qa"}
    # the prior beside the views; it cannot answer ECG-QA, of which nothing is trained here
    assert {name: len(task["views"]) for name, task in metrics.items()} == dict.fromkeys(metrics, 4) | {
        "localization": 7,
        "ecg_qa": 3,
    }
    scripts = json.loads((run / "conversations.json").read_text())["scripts"]
    follow_ups = {
        "report_then_questions": [0, 10, 10, 0],
        "several_ecgs": [0, 10, 0],
        "localization_then_report": [0, 0, 0],
    }
    for view in ("signal", "blind"):
        turns = {name: script["views"][view]["turns"] for name, script in scripts.items()}
        assert {name: [turn["yes_no"] for turn in found] for name, found in turns.items()} == follow_ups
        assert all(turn["n"] == 10 for found in turns.values() for turn in found)
    table = (run / "table.md").read_text()
    assert "| report_then_questions, turn 2 | 10 | 10 |" in table and "accuracy blind (no ECG)" in table
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.suffix in (".json", ".jsonl", ".md")}
    monkeypatch.setattr("anyecg.model.ECGLanguageModel.answer", lambda *_: pytest.fail("asked again"))
    assert main(command) == 0
    assert before == {name: (run / name).read_bytes() for name in before}


def test_too_few_patients_stand_at_the_top_of_the_table():
    metrics = {"tasks": {"report": {"n_patients": 12}, "multi_ecg": {"n_patients": 40}}}
    assert too_few(metrics) == ["report (12)"]
    top = head(Path("runs/mine"), config.load(EXPERIMENT), metrics)
    assert "**Too few patients to say anything of report (12).**" in top and "multi_ecg" not in top
    assert "Too few" not in head(
        Path("runs/mine"), config.load(EXPERIMENT), {"tasks": {"multi_ecg": {"n_patients": 40}}}
    )
