"""The main job as its user gives it: one command, everything it leaves, and what it says when it cannot."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from anyecg import compare, config
from anyecg.config.fingerprint import folder_name
from anyecg.evaluation.run import Run, claim_folder
from anyecg.run import main
from anyecg.types import AnyECGError, DataError
from tests.chat_server import ChatServer
from tests.conftest import SMALL
from tests.training.test_resume import disk_of

EXPERIMENT = "experiments/anyecg_chat.yaml"


def command(cache, output, *overrides, experiment=EXPERIMENT):
    return [experiment, *SMALL, f"cache={cache}", f"output={output}", *overrides]


@pytest.fixture(scope="module")
def finished(small_cache, tmp_path_factory):
    """Runs of the recipe and of one ablation."""
    output = tmp_path_factory.mktemp("runs")
    assert main(command(small_cache, output)) == 0
    assert main(command(small_cache, output, experiment="experiments/ablation_no_replay.yaml")) == 0
    return sorted(output.iterdir(), reverse=True)


def test_a_run_leaves_everything_promised(finished):
    recipe, ablation = (next(p for p in finished if p.name.startswith(name)) for name in ("anyecg_chat", "ablation"))
    for run in (recipe, ablation):
        for name in (
            "config.yaml",
            "metrics.json",
            "predictions.jsonl",
            "table.md",
            "run.log",
            "figures/loss.png",
            "figures/loss.pdf",
            "figures/controls.png",
            "figures/localization_1.png",
            "stages/stage3/parts.safetensors",
            "stages/stage3/adapter/adapter_model.safetensors",
        ):
            assert (run / name).stat().st_size > 0, name
    metrics = json.loads((recipe / "metrics.json").read_text())
    assert set(metrics["tasks"]) == {"classification", "localization", "multi_ecg"}
    for task in metrics["tasks"].values():
        assert set(task["views"]) == {"signal", "blind", "shuffled", "prior"}
    assert (recipe / "stages/stage1").resolve() == (ablation / "stages/stage1").resolve()  # trained once
    assert "blind (no ECG)" in (recipe / "table.md").read_text()


def test_blind_answers_to_one_question_are_all_alike(finished):
    lines = [json.loads(line) for run in finished for line in (run / "predictions.jsonl").read_text().splitlines()]
    for name in ("classification",):
        assert len({line["text"] for line in lines if line["task"] == name and line["view"] == "blind"}) <= len(
            finished
        )


def test_the_same_command_again_gives_the_same_bytes_without_asking(finished, small_cache, monkeypatch):
    run = next(p for p in finished if p.name.startswith("anyecg_chat"))
    before = {name: (run / name).read_bytes() for name in ("metrics.json", "predictions.jsonl", "table.md")}
    monkeypatch.setattr("anyecg.model.ECGLanguageModel.answer", lambda *_: pytest.fail("asked again"))
    assert main(command(small_cache, run.parent)) == 0
    assert before == {name: (run / name).read_bytes() for name in before}


def test_another_statistic_view_or_task_generates_nothing(finished, small_cache, monkeypatch, tmp_path):
    monkeypatch.setattr("anyecg.model.ECGLanguageModel.answer", lambda *_: pytest.fail("asked again"))
    assert (
        main(
            command(
                small_cache,
                tmp_path,
                "evaluation.bootstrap=30",
                "evaluation.tasks=[localization,multi_ecg]",
                "evaluation.views=[signal,shuffled]",
            )
        )
        == 0
    )
    before = next(p for p in finished if p.name.startswith("anyecg_chat")) / "predictions.jsonl"
    (after,) = tmp_path.glob("*/predictions.jsonl")
    assert set(after.read_text().splitlines()) < set(before.read_text().splitlines())


def test_a_finished_run_is_read_in_python(finished, tmp_path):
    folder = next(p for p in finished if p.name.startswith("anyecg_chat"))
    one = Run.open(folder)
    assert one.is_finished() and [stage.name for stage in one.finished_stages()] == one.experiment.trained()
    samples = one.samples["localization"]
    assert {id for task, view, id in one.predictions if (task, view) == ("localization", "blind")} == {
        sample.id for sample in samples
    }
    assert one.results.metrics["answerer"]["name"] == "language_model" and len(
        one.results.rows["localization"]["prior"]
    ) == len(samples)
    with pytest.raises(DataError, match="is not the folder of a run"):
        Run.open(tmp_path)


@pytest.mark.slow
def test_two_processes_evaluate_to_the_bytes_of_one(finished, small_cache, tmp_path):
    """By torchrun, over gloo: the stages of the finished run, no prediction kept; each process answers its share."""
    cache = tmp_path / "cache"
    shutil.copytree(small_cache, cache, ignore=shutil.ignore_patterns("predictions"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, "-m", "anyecg.run", *command(cache, tmp_path / "runs", "trainer.devices=2", "trainer.accelerator=cpu")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (run,), recipe = (tmp_path / "runs").iterdir(), next(p for p in finished if p.name.startswith("anyecg_chat"))
    log = (run / "run.log").read_text()
    assert "the questions are divided over 2 processes" in log and "trains" not in log
    for name in ("predictions.jsonl", "metrics.json", "table.md"):
        assert (run / name).read_bytes() == (recipe / name).read_bytes(), name
    parts = list((cache / "predictions").rglob("*.1.jsonl"))
    assert parts and all(path.stat().st_size for path in parts)


def test_a_judge_scores_a_finished_run_without_asking_the_model_again(finished, small_cache, monkeypatch, tmp_path):
    run = next(p for p in finished if p.name.startswith("anyecg_chat"))
    shutil.copytree(run, tmp_path / run.name, symlinks=True)
    settings = tmp_path / run.name / "config.yaml"
    settings.write_text(settings.read_text().replace(str(run.parent), str(tmp_path)))
    monkeypatch.setattr("anyecg.model.ECGLanguageModel.answer", lambda *_: pytest.fail("asked again"))
    with ChatServer(lambda messages: "assessed" if len(messages) == 1 else "4/5") as server:
        assert (
            main(command(small_cache, tmp_path, f"evaluation.judge.url={server.url}", "evaluation.judge.model=m")) == 0
        )
    assert [path.name for path in tmp_path.iterdir()] == [run.name]
    before, after = (
        json.loads((folder / run.name / "metrics.json").read_text())["tasks"]["multi_ecg"]["views"]
        for folder in (run.parent, tmp_path)
    )
    assert "judge_score" not in after.pop("prior")["metrics"]
    for view, found in after.items():
        assert found["metrics"]["judge_score"] == 4 and found["unjudged"] == {}
        assert (
            found["metrics"]["score"] == before[view]["metrics"]["score"]
            and "judge_score" not in before[view]["metrics"]
        )
    assert "with the ECG, LLM judge" in (tmp_path / run.name / "table.md").read_text()
    assert (tmp_path / run.name / "figures" / "scores.png").exists() and (
        tmp_path / run.name / "figures" / "iou.pdf"
    ).exists()


def test_two_runs_compare(finished, capsys):
    assert compare.main([*(str(run) for run in finished[::-1]), "--bootstrap", "20"]) == 0
    printed = capsys.readouterr().out
    assert "replay" in printed and "localization" in printed


def test_a_resolved_configuration_runs_again(finished):
    run = finished[0]
    assert config.to_dict(config.load(run / "config.yaml")) == yaml.safe_load((run / "config.yaml").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["experiments/anyecg_chatt.yaml"], "did you mean experiments/anyecg_chat.yaml"),
        ([EXPERIMENT, "encoder=vitt"], "did you mean 'vit'"),
        ([EXPERIMENT, "seed=many"], "command line: seed"),
        ([EXPERIMENT, "scale=huge"], "scale 'huge'"),
        ([EXPERIMENT, "nonsense"], "nonsense"),
        ([EXPERIMENT, "paper_row=no_lead"], "'no_lead' is no row of Table 8 (ablations); did you mean 'no_lead_emb'?"),
    ],
)
def test_mistakes_are_told_in_one_message(arguments, words, capsys, tmp_path):
    assert main([*arguments, f"output={tmp_path}"]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_missing_corpus_names_the_folder(capsys, tmp_path, small_cache):
    assert main(command(small_cache, tmp_path, "corpora.ptbxl.root=/nowhere")) == 2
    assert "/nowhere" in capsys.readouterr().err


def test_a_run_of_another_configuration_is_moved_aside(tmp_path):
    first, second = (config.load(EXPERIMENT, [f"seed={seed}"]) for seed in (0, 1))
    folder = claim_folder(tmp_path / "run", first)
    (folder / "metrics.json").write_text("{}")
    assert (claim_folder(tmp_path / "run", first) / "metrics.json").exists()
    assert not (claim_folder(tmp_path / "run", second) / "metrics.json").exists()
    assert (tmp_path / "run.old1" / "metrics.json").exists()
    judged = config.load(EXPERIMENT, ["seed=1", "evaluation.judge.url=http://localhost/v1", "evaluation.judge.model=m"])
    (folder / "metrics.json").write_text("{}")
    assert (claim_folder(tmp_path / "run", judged) / "metrics.json").exists() and "localhost" in (
        folder / "config.yaml"
    ).read_text()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_disk_that_is_full_leaves_no_torn_configuration(tmp_path, seed):
    first = config.load(EXPERIMENT)
    folder = claim_folder(tmp_path / "run", first)
    with disk_of(100), pytest.raises(AnyECGError, match="config.yaml: could not be written"):
        claim_folder(folder, config.load(EXPERIMENT, [f"seed={seed}"]))
    if seed == 0:
        assert (folder / "config.yaml").read_text() == config.dump(first)
    else:
        assert not list(folder.iterdir())
    claim_folder(folder, first)
    assert not (tmp_path / "run.old2").exists() and config.load(folder / "config.yaml") == first


def test_the_name_of_a_run_tells_what_was_changed():
    experiment = config.load(EXPERIMENT)
    assert folder_name(experiment.name, []) == "anyecg_chat"
    assert folder_name(experiment.name, ["llm=smollm2", "output=x", "trainer.workers=2"]) == "anyecg_chat+llm=smollm2"
    assert len(folder_name(experiment.name, [f"stages.stage1.samples={i}" for i in range(50)])) < 120


def test_list_names_every_component(capsys):
    assert main(["--list"]) == 0
    printed = capsys.readouterr().out
    for name in (
        "vit",
        "timm",
        "mlp",
        "linear",
        "hf",
        "smollm2",
        "tiny",
        "mimic",
        "ptbxl",
        "european_st_t",
        "localization",
    ):
        assert f"  {name}" in printed


def test_show_prints_the_resolved_configuration(capsys):
    assert main([EXPERIMENT, "--show"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["encoder"]["name"] == "vit"


def test_the_shipped_experiments_are_all_here():
    assert len(list(Path("experiments").glob("*.yaml"))) >= 7


def test_a_full_disk_is_told_without_a_traceback(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr("anyecg.cli.run.run", full)
    assert main([EXPERIMENT, f"output={tmp_path}"]) == 2
    assert "disk is full" in capsys.readouterr().err
