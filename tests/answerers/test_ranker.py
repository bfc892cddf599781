"""The ranker: heads that the contrastive stage keeps, a score a label that depends on no other, reports retrieved."""

import json
from dataclasses import dataclass

import pytest
import torch
import yaml
from safetensors.torch import save_file

from anyecg.answerers.ranker import heads_of, read_prompts
from anyecg.config.shipped import experiments
from anyecg.objectives.contrastive import Contrastive
from anyecg.run import main
from anyecg.types import CheckpointError, ConfigError
from tests.conftest import SMALL


@dataclass
class Stage:
    folder: object

    class cfg:
        class objective:
            component = Contrastive


class Fitting:
    stages = ()


def test_the_heads_are_those_of_the_contrastive_stage(tmp_path):
    with pytest.raises(ConfigError, match="needs a contrastive stage"):
        heads_of(Fitting())
    fitting = Fitting()
    fitting.stages = [Stage(tmp_path)]
    with pytest.raises(CheckpointError, match="trains it again"):
        heads_of(fitting)
    save_file({"ecg_head.weight": torch.zeros(2, 3)}, tmp_path / "heads.safetensors")
    with pytest.raises(CheckpointError, match="ecg_head.bias"):
        heads_of(fitting)


def test_prompts_are_texts_by_label(tmp_path):
    shipped = read_prompts(str(experiments() / "prompts" / "labels.yaml"))
    assert len(shipped) > 60 and all(name == name.casefold() and text for name, text in shipped.items())
    assert "V1" in shipped["right bundle branch block"] and read_prompts("names") == {}
    (tmp_path / "p.yaml").write_text("- a list\n")
    with pytest.raises(ConfigError, match="no prompts can be read"):
        read_prompts(str(tmp_path / "p.yaml"))


def test_a_run_ranks_label_names_and_retrieves_reports(small_cache, tmp_path):
    prompts = tmp_path / "prompts.yaml"
    prompts.write_text(yaml.safe_dump({"normal ecg": "nothing wrong"}))
    command = ["experiments/baselines/ranker.yaml", *SMALL, f"cache={small_cache}", f"output={tmp_path / 'runs'}", "evaluation.limit=20"]  # fmt: skip
    assert main(command) == 0 and main([*command, f"answerer.prompts={prompts}"]) == 0
    plain, prompted = sorted((tmp_path / "runs").iterdir(), key=lambda path: len(path.name))
    scores = {}
    for run in (plain, prompted):
        metrics = json.loads((run / "metrics.json").read_text())
        assert metrics["answerer"] == {"name": "ranker", "knows": "label names"}
        blind = metrics["tasks"]["classification"]["views"]["blind"]["metrics"]
        assert {value for name, value in blind.items() if name.startswith("auc")} == {0.5}
        lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
        scores[run] = {line["id"]: line["scores"] for line in lines if line["view"] == "signal" and "scores" in line}
        reports = {line["text"] for line in lines if line["task"] == "report" and line["view"] == "signal"}
        assert reports and all(text for text in reports)
    changed = {
        label
        for id, found in scores[plain].items()
        for label, value in found.items()
        if scores[prompted][id][label] != value
    }
    assert changed and all(label.endswith(":normal ECG") for label in changed)
