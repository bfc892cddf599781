"""Comparing runs: what differs, paired differences, and refusals that name what is wrong."""

import pytest
import yaml

from anyecg.compare import main
from anyecg.evaluation.comparison import Results, compare, read_run
from anyecg.evaluation.evaluate import evaluate
from anyecg.tasks.localization.task import Localization
from anyecg.types import DataError, ECGSample, Prediction, Turn, Window
from tests.conftest import Answering


def sample(i):
    there = i % 20 < 10
    return ECGSample(
        id=f"q{i}", task="localization", patient=f"p{i % 20}", subset="mit_bih_arrhythmia", records=(Window(f"r{i}"),),
        conversation=(Turn("user", "<ecg> PVC?"), Turn("assistant", "Duration: 1.0s-3.0s" if there else "No PVC Found")),
        meta={"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": [[1.0, 3.0]] if there else []},
    )  # fmt: skip


def make_run(folder, text, config, count=40, ask=sample):
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    evaluate(Answering(lambda samples, view: (Prediction(s.id, text) for s in samples)), {"localization": [ask(i) for i in range(count)]},
             {"localization": Localization()}, folder, bootstrap=20, progress=False)  # fmt: skip
    return folder


@pytest.fixture
def runs(tmp_path):
    encoder = {"name": "vit", "dim": 64, "lead_embedding": True}
    a = make_run(
        tmp_path / "default",
        "Duration: 1.0s-3.0s",
        {"name": "default", "encoder": encoder, "seed": 0, "paper_row": "default"},
    )
    b = make_run(tmp_path / "ablation", "Duration: 1.0s-2.0s",
                 {"name": "ablation", "encoder": encoder | {"lead_embedding": False}, "seed": 0, "paper_row": "no_lead_emb"})  # fmt: skip
    return a, b


def test_configuration_and_metrics_stand_side_by_side(runs):
    config, answerers, changes, controls = compare([read_run(folder) for folder in runs], resamples=50)
    assert config.rows == [["encoder.lead_embedding", "True", "False"]]
    assert answerers.rows == [[name, "–", "–"] for name in ("default", "ablation")]
    assert changes.rows == [  # with the figures of the paper's rows
        ["default", "0.500 [0.500, 0.500]", "–", "–", "0.561", "–", "–"],
        ["ablation", "0.250 [0.250, 0.250]", "-0.250 [-0.250, -0.250]", "0.000", "0.555", "-0.006", "agrees"],
    ]
    assert controls.rows[1] == [
        "ablation",
        *["0.250 [0.250, 0.250]"] * 3,
        *["+0.000 [+0.000, +0.000]"] * 2,
        "0 / 0 / 0",
    ]


def test_a_run_that_was_trained_blind_is_a_control_of_the_others(runs, tmp_path):
    stages = {"stages": {"stage1": {"view": "blind"}, "other": {"view": "signal"}}, "curriculum": ["stage1"]}
    make_run(tmp_path / "blind", "No PVC Found", {"name": "blind", "seed": 0, **stages})
    read = [read_run(folder) for folder in (*runs, tmp_path / "blind")]
    assert [run.trained_blind for run in read] == [False, False, True]
    controls = compare(read, resamples=50)[-1]
    assert (
        controls.header[4].startswith("trained blind (stages") and controls.header[-2] == "ECG − trained blind [95 %]"
    )
    assert [row[4] for row in controls.rows] == ["0.500 [0.500, 0.500]"] * 3
    assert controls.rows[1][-2] == "-0.250 [-0.250, -0.250]"


def test_a_run_that_answers_some_tasks_stands_in_their_tables_only(runs, tmp_path):
    read = [read_run(folder) for folder in runs]
    without = Results(
        "without", {"answerer": {"name": "other"}}, {"answerer": {"name": "other", "knows": "options"}}, {}
    )
    grids = compare([*read, without], resamples=0)
    assert grids[1].rows[-1] == ["without", "other", "options"]
    assert [row[0] for row in grids[2].rows] == ["default", "ablation"] and grids[-1].rows == [["localization"]]
    first = compare([without, *read], resamples=0)  # its first run is the one that a task's others are compared with
    assert [row[0] for row in first[2].rows] == ["default", "ablation"] and first[-1].rows == [["localization"]]
    with pytest.raises(DataError, match="no task was evaluated with the ECG in any of: without"):
        compare([without], resamples=0)


def test_differences_over_too_few_patients_have_no_interval(tmp_path):
    folders = [make_run(tmp_path / name, "No PVC Found", {"name": name}, count=19) for name in ("a", "b")]
    _, _, changes, controls = compare([read_run(folder) for folder in folders], resamples=50)
    assert (
        changes.rows[1][2] == "+0.000 [too few patients (19)]"
        and controls.rows[0][4] == "+0.000 [too few patients (19)]"
    )


def test_the_command_prints_and_writes_markdown(runs, tmp_path, capsys):
    assert main([*map(str, runs), "--out", str(tmp_path / "c.md"), "--bootstrap", "20"]) == 0
    text = (tmp_path / "c.md").read_text()
    assert "| encoder.lead_embedding | True | False |" in text and "40 questions of 20 patients" in text
    assert "encoder.lead_embedding" in capsys.readouterr().out


def test_runs_over_different_questions_are_refused_by_id(runs, tmp_path, capsys):
    other = make_run(tmp_path / "other", "Duration: 1.0s-3.0s", {"name": "other"}, count=39)
    with pytest.raises(DataError, match="only default has 1 ids such as q39"):
        compare([read_run(runs[0]), read_run(other)])
    assert main([str(runs[0]), str(other)]) == 2 and "q39" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_named(runs, tmp_path, capsys):
    assert main([str(runs[0]), str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
    (runs[1] / "metrics.json").write_text("{")
    assert main([str(folder) for folder in runs]) == 2 and "ablation" in capsys.readouterr().err
    assert main([str(runs[0])]) == 2 and "at least two" in capsys.readouterr().err


def test_help_says_how(capsys):
    with pytest.raises(SystemExit) as done:
        main(["--help"])
    assert done.value.code == 0 and "--out" in capsys.readouterr().out
