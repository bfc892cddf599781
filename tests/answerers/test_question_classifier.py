"""The question classifier: words and one or two ECGs in, legal answers out, with and without options."""

import json

import pytest
import torch

from anyecg.answerers.fusion_transformer import FusionTransformer
from anyecg.answerers.question_classifier import QuestionClassifier, words_of
from anyecg.run import main
from anyecg.types import ECGSample, Turn, Window
from tests.conftest import SMALL


def test_the_network_looks_at_no_padding_and_no_second_ecg_that_is_absent():
    torch.manual_seed(0)
    net = FusionTransformer(8, 10, 5, 16, 2, 2).eval()
    ecgs = torch.randn(1, 2, 6, 8)
    alone = ecgs.clone()
    alone[:, 1] = torch.nan
    words = torch.tensor([[3, 4, 5]])
    assert torch.allclose(net(alone, words), net(alone, torch.tensor([[3, 4, 5, 0, 0]])), atol=1e-5)
    assert not torch.allclose(net(alone, words), net(ecgs, words), atol=1e-3)
    assert not torch.allclose(net(ecgs, words), net(ecgs.flip(1), words), atol=1e-3)  # first and second differ


def asked(template, attributes=(), text="Does this ECG show <ecg> sinus rhythm?"):
    return ECGSample("q", "ecg_qa", (Window("ptbxl/1"),), (Turn("user", text), Turn("assistant", "yes")),
                     meta={"template_id": template, "attributes": list(attributes)})  # fmt: skip


@pytest.mark.parametrize("options", [True, False])
def test_legal_answers_are_the_templates_or_all(options):
    answerer = QuestionClassifier(QuestionClassifier.Config(options=options))
    answerer.answers_known = ["yes", "no", "none", "a", "b", "c"]
    answerer.options = {"ptbxl": {"1": ["no", "yes"], "2": ["none", "c", "b", "a"]}}
    found = [answerer._legal(one) for one in (asked(1, ["a"]), asked(2), asked(2, ["a", "c"]), asked(9))]
    everything = answerer.answers_known
    assert found == ([["yes", "no"], ["none", "a", "b", "c"], ["none", "a", "c"], everything] if options else [everything] * 4)  # fmt: skip
    assert answerer.knows == ("options" if options else "training labels")


def test_words_are_those_of_the_question_without_its_ecgs():
    assert words_of(asked(1)) == ["does", "this", "ecg", "show", "sinus", "rhythm"]


def test_a_run_answers_every_type_with_and_without_options(small_cache, tmp_path):
    few = ["answerer.epochs=2", "answerer.width=16", "answerer.batch_size=16", "curriculum=[]", "evaluation.limit=24"]
    for name in ("ecg_qa_classifier", "ecg_qa_classifier_open"):
        command = [f"experiments/baselines/{name}.yaml", *SMALL, *few, f"cache={small_cache}", f"output={tmp_path}"]
        assert main(command) == 0
    for run in tmp_path.iterdir():
        metrics = json.loads((run / "metrics.json").read_text())
        views = metrics["tasks"]["ecg_qa"]["views"]
        assert {"signal", "blind", "shuffled", "prior"} <= set(views)
        assert set(views["signal"]["blocks"]) == {"question type", "attribute type"}
        assert metrics["answerer"]["knows"] == ("training labels" if "open" in run.name else "options")
        if "open" not in run.name:
            lines = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
            assert all(line["text"] for line in lines) and views["signal"]["metrics"]["accuracy"] > 0
