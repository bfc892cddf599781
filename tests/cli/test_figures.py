"""Figures from what runs left: `metrics.json` alone, whatever views there are, and what is said when nothing can be
drawn.
"""

import json
import shutil
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import anyecg.figures as command
from anyecg.answerers.language_model import LanguageModel
from anyecg.cli import figures
from anyecg.evaluation import bars, report
from anyecg.evaluation import figure_data as drawn
from anyecg.evaluation.comparison import read_run
from anyecg.evaluation.differences import Setting, measure
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.figures import ablation_differences, panel
from anyecg.evaluation.published import load
from anyecg.plots.views import in_order, short
from anyecg.tasks.localization.figures import chosen, iou_bars
from anyecg.types import DataError, Prediction
from tests.conftest import Answering
from tests.evaluation.test_evaluate import SAMPLES, TASKS, localization

VIEWS = ["signal", "blind", "first_lead_masked"]


class Stores:
    """Noise in two leads."""

    fs = 100.0

    def read(self, window):
        return np.random.default_rng(0).normal(size=(12, 1000)), np.arange(12) % 6 == 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two runs: one that reads every ECG, one that reads none."""
    root = tmp_path_factory.mktemp("runs")
    stages = []
    for stage in ("language", "stage2"):
        (root / "cache" / stage).mkdir(parents=True)
        lines = "".join(f"{step},{1 / (1 + step)}\n" for step in range(1000))
        (root / "cache" / stage / "loss.csv").write_text("step,loss\n" + lines)
        stages.append(SimpleNamespace(name=stage, folder=root / "cache" / stage, despite=()))
    for name, row in (("recipe", "default"), ("ablation", "no_lead_emb")):
        experiment = SimpleNamespace(
            paper_row=row,
            description="",
            scale="cpu",
            seed=0,
            published="anyecg_chat",
            evaluation=SimpleNamespace(views=VIEWS, seed=0),
            answerer=SimpleNamespace(name="language_model", component=LanguageModel),
        )
        more = partial(report.figure_data, experiment, stages, SAMPLES, TASKS, Stores())

        def answer(samples, view):
            return (
                Prediction(
                    s.id, s.answer if (name, view) == ("recipe", "signal") or s.id[-1] in "036" else "No PVC Found"
                )
                for s in samples
            )

        metrics = evaluate(
            Answering(answer), SAMPLES, TASKS, root / name, views=VIEWS, bootstrap=20, progress=False, more=more
        )
        report.write_report(root / name, experiment, metrics)
        (root / name / "config.yaml").write_text(f"paper_row: {row}\n")
    return root


def names(folder):
    return sorted(path.name for path in folder.iterdir())


EACH = sorted(
    f"{name}.{kind}"
    for name in ("controls", "iou", "loss", "scores", *(f"localization_{k}" for k in (1, 2, 3, 4)))
    for kind in ("pdf", "png")
)


def test_all_that_the_run_drew_is_drawn_again_from_its_metrics_alone_to_the_byte(runs, tmp_path, capsys):
    assert names(runs / "recipe" / "figures") == EACH
    alone = tmp_path / "run"
    alone.mkdir()
    shutil.copy(runs / "recipe" / "metrics.json", alone)
    assert command.main([str(alone)]) == 0
    assert names(alone / "figures") == EACH and len(capsys.readouterr().out.split()) == len(EACH)
    for name in EACH:
        assert (alone / "figures" / name).read_bytes() == (runs / "recipe" / "figures" / name).read_bytes(), name


def test_several_runs_get_a_folder_each_and_their_differences_from_their_metrics_alone(runs, tmp_path):
    for name in ("recipe", "ablation"):
        (tmp_path / name).mkdir()
        shutil.copy(runs / name / "metrics.json", tmp_path / name)
    assert command.main([str(tmp_path / "recipe"), str(tmp_path / "ablation"), "--to", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == ["ablation", "differences.pdf", "differences.png", "recipe"]
    assert names(tmp_path / "out" / "recipe") == names(tmp_path / "out" / "ablation") == EACH
    rows = figures.differences({name: drawn.read_metrics(tmp_path / name) for name in ("recipe", "ablation")}, load())
    assert [row[:2] for row in rows] == [
        ("ablation", panel("localization", "iou_balanced")),
        ("ablation", panel("multi_ecg", "score")),
    ]
    assert rows[0][5] == pytest.approx(0.5553 - 0.5610) and rows[1][5] == pytest.approx(2.93 - 3.02)
    settings = [
        Setting(run.name, run.config["paper_row"], {0: run.rows})
        for run in (read_run(runs / name) for name in ("recipe", "ablation"))
    ]
    for row, task in zip(rows, ("localization", "multi_ecg")):
        value, ends = list(measure(settings, task, load(), n=20))[1].change
        assert row[2:5] == pytest.approx((value, *ends), abs=1e-5) and ends[1] < 0


def test_runs_that_cannot_be_paired_are_told(runs):
    recipe = drawn.read_metrics(runs / "recipe")
    other = json.loads((runs / "ablation" / "metrics.json").read_text())
    other["tasks"]["multi_ecg"]["replicates"]["score"] = [1.0]
    with pytest.raises(DataError, match="b and a were not resampled alike"):
        figures.differences({"a": recipe, "b": other}, load())
    other["tasks"]["localization"]["questions"] = "others"
    with pytest.raises(DataError, match="b and a were not asked the same questions of localization"):
        figures.differences({"a": recipe, "b": other}, load())


def test_what_is_drawn_is_kept_thin(runs):
    found = drawn.read_metrics(runs / "recipe")["figures"]
    assert [curve["stage"] for curve in found["loss"]] == ["language", "stage2"] and {
        len(curve["step"]) for curve in found["loss"]
    } == {drawn.POINTS}
    assert found["loss"][0]["step"][:2] == [2, 7] and found["loss"][0]["loss"][0] == pytest.approx(
        np.mean(1 / np.arange(1, 6)), abs=1e-5
    )
    assert all(
        example["leads"] == ["II", "V2"] and len(example["signal"][0]) == 1000 for example in found["localization"]
    )
    assert (runs / "recipe" / "metrics.json").stat().st_size < 100_000


def test_a_loss_curve_that_is_none_is_named(tmp_path):
    path = tmp_path / "loss.csv"
    with pytest.raises(DataError, match="loss.csv: no loss curve can be read"):
        drawn.loss_curve(path)
    path.write_text("step,accuracy\n1,2\n")
    with pytest.raises(DataError, match="loss.csv.*'loss' in its name"):
        drawn.loss_curve(path)
    path.write_text("step,loss\n1,2\n5,\n")
    assert drawn.loss_curve(path) == {"step": [1, 5], "loss": [2, None]}


def test_examples_are_chosen_by_seed_and_show_something_to_find():
    samples = [localization(i) for i in range(24)]
    picked = {seed: [s.id for s in chosen(samples, seed)] for seed in (0, 1)}
    assert picked[0] != picked[1] and picked[0] == [s.id for s in chosen(samples[::-1], 0)]
    assert [bool(s.meta["intervals"]) for s in chosen(samples, 0)] == [True, True, True, False]
    assert len(chosen(samples[::2], 0)) == 4 and len(chosen(samples[1:3], 0)) == 2 and not chosen([], 0)


def test_views_stand_in_the_order_they_are_asked_in_though_a_file_sorts_them(runs):
    task = json.loads((runs / "recipe" / "metrics.json").read_text())["tasks"]["localization"]
    assert list(task["views"]) == ["blind", "first_lead_masked", "signal"] and in_order(task["views"]) == VIEWS
    assert in_order(["new", "blind", "signal"]) == ["signal", "blind", "new"] and short("a_new_view") == "a new view"


def test_the_metrics_hold_the_distributions_that_are_drawn(runs):
    task = json.loads((runs / "recipe" / "metrics.json").read_text())["tasks"]["multi_ecg"]
    group = task["views"]["signal"]["blocks"]["number of ECGs"]["2"]
    assert group["histogram"] == [0, 0, 0, 0, 0, 0, 24] and group["n"] == 24 and "judge_histogram" not in group


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "metrics.json cannot be drawn"),
        ("{", "cannot be drawn"),
        ('{"tasks": {"a": {}}}', "lack primary"),
        ("[]", "cannot be drawn"),
    ],
)
def test_what_is_no_run_is_told(tmp_path, capsys, content, told):
    if content is not None:
        (tmp_path / "metrics.json").write_text(content)
    assert command.main([str(tmp_path)]) == 2
    assert told in capsys.readouterr().err


def test_what_cannot_be_drawn_is_left_out_and_told(runs, tmp_path, caplog, capsys):
    metrics = json.loads((runs / "recipe" / "metrics.json").read_text())
    del metrics["figures"]
    for found in metrics["tasks"]["multi_ecg"]["views"].values():
        del found["blocks"]["number of ECGs"]  # as an older run left it
    paths = [path.name for path in bars.run_figures(metrics, tmp_path)]
    assert (
        paths == ["controls.png", "controls.pdf", "iou.png", "iou.pdf"]
        and "scores is left out: there are no distributions" in caplog.text
    )
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert (
        command.main([str(tmp_path)]) == 0 and "loss curves and localizations are left out" in capsys.readouterr().err
    )
    with pytest.raises(DataError, match="no metrics"):
        bars.controls_figure({"tasks": {}}, tmp_path / "none")
    with pytest.raises(DataError, match="no breakdown with auc"):
        iou_bars(metrics["tasks"]["localization"], tmp_path / "none", metric="auc")


def test_differences_without_intervals_or_a_paper_are_drawn_and_none_is_told(tmp_path):
    paths = ablation_differences([("a", "t", -0.1, None, None, None), ("b", "t", 0.1, 0.0, 0.3, 0.2)], tmp_path / "d")
    assert [path.name for path in paths] == ["d.png", "d.pdf"] and all(path.stat().st_size > 1000 for path in paths)
    with pytest.raises(DataError, match="at least two runs"):
        ablation_differences([], tmp_path / "none")


def test_one_run_twice_is_told(runs, capsys):
    assert command.main([str(runs / "recipe")] * 2) == 2
    assert "same name" in capsys.readouterr().err
