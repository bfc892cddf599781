"""Comparing runs: what differs, paired differences, and refusals that name what is wrong."""

import pytest
import yaml

from anyecg.compare import main
from anyecg.evaluation.comparison import compare, read_run
from anyecg.evaluation.evaluate import evaluate
from anyecg.tasks.localization.task import Localization
from anyecg.types import DataError, ECGSample, Prediction, Turn, Window


def sample(i):
    there = i < 5
    return ECGSample(
        id=f"q{i}", task="localization", patient=f"p{i % 5}", subset="mit_bih_arrhythmia", records=(Window(f"r{i}"),),
        conversation=(Turn("user", "<ecg> PVC?"), Turn("assistant", "Duration: 1.0s-3.0s" if there else "No PVC Found")),
        meta={"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": [[1.0, 3.0]] if there else []},
    )  # fmt: skip


def make_run(folder, text, config, count=10, ask=sample):
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    evaluate(lambda samples, view: (Prediction(s.id, text) for s in samples), {"localization": [ask(i) for i in range(count)]},
             {"localization": Localization()}, folder, bootstrap=20, progress=False)  # fmt: skip
    return folder


@pytest.fixture
def runs(tmp_path):
    encoder = {"name": "vit", "dim": 64, "lead_embedding": True}
    a = make_run(tmp_path / "default", "Duration: 1.0s-3.0s", {"name": "default", "encoder": encoder, "seed": 0, "paper_row": "default"})
    b = make_run(tmp_path / "ablation", "Duration: 1.0s-2.0s",
                 {"name": "ablation", "encoder": encoder | {"lead_embedding": False}, "seed": 0, "paper_row": "no_lead_emb"})  # fmt: skip
    return a, b


def test_configuration_and_metrics_stand_side_by_side(runs):
    config, changes, controls = compare([read_run(folder) for folder in runs], resamples=50)
    assert config.rows == [["encoder.lead_embedding", "True", "False"]]
    assert changes.rows == [  # with the figures of the paper's rows
        ["default", "0.500 [0.500, 0.500]", "–", "0.561", "–", "–"],
        ["ablation", "0.250 [0.250, 0.250]", "-0.250 [-0.250, -0.250]", "0.555", "-0.006", "agrees"],
    ]
    assert controls.rows[1] == ["ablation", *["0.250 [0.250, 0.250]"] * 3, *["+0.000 [+0.000, +0.000]"] * 2, "0 / 0 / 0"]


def test_the_command_prints_and_writes_markdown(runs, tmp_path, capsys):
    assert main([*map(str, runs), "--out", str(tmp_path / "c.md"), "--bootstrap", "20"]) == 0
    text = (tmp_path / "c.md").read_text()
    assert "| encoder.lead_embedding | True | False |" in text and "10 questions of 5 patients" in text
    assert "encoder.lead_embedding" in capsys.readouterr().out


def test_runs_over_different_questions_are_refused_by_id(runs, tmp_path, capsys):
    other = make_run(tmp_path / "other", "Duration: 1.0s-3.0s", {"name": "other"}, count=9)
    with pytest.raises(DataError, match="only default has 1 ids such as q9"):
        compare([read_run(runs[0]), read_run(other)])
    assert main([str(runs[0]), str(other)]) == 2 and "q9" in capsys.readouterr().err


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
