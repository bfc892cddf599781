"""Figures from what runs left: `metrics.json` and loss curves alone, whatever views there are, and what is said when nothing can be drawn."""

import json
import shutil

import pytest
import yaml

from anyecg import figures
from anyecg.evaluation import bars
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.figures import ablation_differences
from anyecg.types import DataError, Prediction
from tests.evaluation.test_evaluate import SAMPLES, TASKS

VIEWS = ["signal", "blind", "first_lead_masked"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs: one that reads every ECG, one that reads none."""
    root = tmp_path_factory.mktemp("runs")
    for name, row in (("recipe", "default"), ("ablation", "no_lead_emb")):
        def answer(samples, view):
            return (Prediction(s.id, s.answer if (name, view) == ("recipe", "signal") or s.id[-1] in "036" else "No PVC Found") for s in samples)

        evaluate(answer, SAMPLES, TASKS, root / name, views=VIEWS, bootstrap=20, progress=False)
        (root / name / "config.yaml").write_text(yaml.safe_dump({"name": name, "paper_row": row, "curriculum": ["stage1", "stage2"]}))
        for stage in ("stage2", "language", "stage1"):
            (root / name / "stages" / stage).mkdir(parents=True)
            (root / name / "stages" / stage / "loss.csv").write_text("step,loss\n1,3\n2,2\n3,1\n")
    return root


def names(folder):
    return sorted(path.name for path in folder.iterdir())


EACH = [f"{name}.{kind}" for name in ("controls", "iou", "loss", "scores") for kind in ("pdf", "png")]


def test_a_run_is_drawn_from_its_metrics_and_curves_alone(runs, tmp_path, capsys):
    alone = tmp_path / "run"
    (alone / "stages").mkdir(parents=True)
    shutil.copy(runs / "recipe" / "metrics.json", alone)
    shutil.copytree(runs / "recipe" / "stages" / "stage1", alone / "stages" / "stage1")
    assert figures.main([str(alone)]) == 0
    assert names(alone / "figures") == EACH and len(capsys.readouterr().out.split()) == 8
    before = {name: (alone / "figures" / name).read_bytes() for name in EACH}
    assert figures.main([str(alone)]) == 0
    assert before == {name: (alone / "figures" / name).read_bytes() for name in EACH}


def test_several_runs_get_a_folder_each_and_their_differences(runs, tmp_path):
    assert figures.main([str(runs / "recipe"), str(runs / "ablation"), "--to", str(tmp_path), "--bootstrap", "20"]) == 0
    assert names(tmp_path) == ["ablation", "differences.pdf", "differences.png", "recipe"]
    assert names(tmp_path / "recipe") == names(tmp_path / "ablation") == EACH
    rows = figures.differences([runs / "recipe", runs / "ablation"], 20, 0)
    assert [row[:2] for row in rows] == [("ablation", "localization"), ("ablation", "multi_ecg")]
    for _, _, value, low, high, _ in rows:
        assert low <= value <= high < 0
    assert rows[0][5] == pytest.approx(0.5553 - 0.5610) and rows[1][5] is None


def test_curves_stand_in_the_order_of_the_curriculum(runs):
    assert list(figures.loss_curves(runs / "recipe")) == ["language", "stage1", "stage2"]


def test_views_stand_in_the_order_they_are_asked_in_though_a_file_sorts_them(runs):
    task = json.loads((runs / "recipe" / "metrics.json").read_text())["tasks"]["localization"]
    assert list(task["views"]) == ["blind", "first_lead_masked", "signal"] and bars.in_order(task["views"]) == VIEWS
    assert bars.in_order(["new", "blind", "signal"]) == ["signal", "blind", "new"] and bars.label("a_new_view") == "a new view"


def test_the_metrics_hold_the_distributions_that_are_drawn(runs):
    task = json.loads((runs / "recipe" / "metrics.json").read_text())["tasks"]["multi_ecg"]
    group = task["views"]["signal"]["blocks"]["number of ECGs"]["2"]
    assert group["histogram"] == [0, 0, 0, 0, 0, 0, 18] and group["n"] == 18 and "judge_histogram" not in group


@pytest.mark.parametrize(("content", "told"), [(None, "metrics.json cannot be drawn"), ("{", "cannot be drawn"), ('{"tasks": {"a": {}}}', "lack primary"), ("[]", "cannot be drawn")])
def test_what_is_no_run_is_told(tmp_path, capsys, content, told):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert figures.main([str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_what_cannot_be_drawn_is_left_out_and_told(runs, tmp_path, caplog):
    metrics = json.loads((runs / "recipe" / "metrics.json").read_text())
    for found in metrics["tasks"]["multi_ecg"]["views"].values():
        del found["blocks"]["number of ECGs"]  # as an older run left it
    drawn = [path.name for path in bars.metric_figures(metrics, tmp_path)]
    assert drawn == ["controls.png", "controls.pdf", "iou.png", "iou.pdf"] and "scores is left out: there are no distributions" in caplog.text
    with pytest.raises(DataError, match="no metrics"):
        bars.controls_figure({"tasks": {}}, tmp_path / "none")
    with pytest.raises(DataError, match="no breakdown with auc"):
        bars.iou_bars(metrics["tasks"]["localization"], tmp_path / "none", metric="auc")


def test_differences_without_intervals_or_a_paper_are_drawn_and_none_is_told(tmp_path):
    drawn = ablation_differences([("a", "t", -0.1, None, None, None), ("b", "t", 0.1, 0.0, 0.3, 0.2)], tmp_path / "d")
    assert [path.name for path in drawn] == ["d.png", "d.pdf"] and all(path.stat().st_size > 1000 for path in drawn)
    with pytest.raises(DataError, match="at least two runs"):
        ablation_differences([], tmp_path / "none")


def test_one_run_twice_is_told(runs, capsys):
    assert figures.main([str(runs / "recipe")] * 2) == 2
    assert "same name" in capsys.readouterr().err
