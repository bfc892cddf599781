"""GRPO: rewards of a task's own parser and metric, weights within a group, and a policy that earns more afterwards."""

import numpy as np
import pytest
import torch

from anyecg import config
from anyecg.config.schema import StageConfig
from anyecg.objectives.grpo import GRPO, GRPOConfig, GRPOStage, advantages, asked
from anyecg.tasks import tasks
from anyecg.types import ConfigError
from tests.conftest import SMALL, collator, make_item, make_model

RECIPE = "experiments/anyecg_chat.yaml"
GROUPS = ["connector", "markers", "llm"]


def stage_of(model, task, **settings):
    cfg = StageConfig(objective="grpo", trains=GROUPS)
    return GRPOStage(model, cfg, 10, GRPOConfig(**{"group": 8, "max_new_tokens": 12} | settings), {"report": task})


@pytest.fixture
def task():
    return tasks["report"]()


def test_weights_are_within_a_group():
    found = advantages(torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.5, 0.5]]))
    assert found[0, 0] > 1 and (found[0, 1:] < 0).all()
    torch.testing.assert_close(found.sum(1), torch.zeros(2), atol=1e-5, rtol=0)
    assert (found[1] == 0).all()


def test_an_answer_earns_its_tasks_metric_and_that_it_can_be_read(model, task):
    stage, item = stage_of(model, task, format=0.25), make_item(answer="Report: Sinus rhythm, Atrial fibrillation")
    texts = ["Report: Sinus rhythm, Atrial fibrillation", "Report: Sinus rhythm", "Report: Right bundle branch block"]
    right, half, wrong = stage.rewards([item] * 3, texts)
    assert right == pytest.approx(1.25) and right > half > wrong
    worst = stage.rewards([item], [""])
    assert worst[0] <= wrong


def test_a_group_is_encoded_once_and_answers_are_drawn(task):
    model = make_model(dropout=0.0).eval()
    stage, calls = stage_of(model, task).train(), []
    plain = model.encoder.forward
    model.encoder.forward = lambda clips, mask: calls.append(len(clips)) or plain(clips, mask)
    questions = [make_item("a", (2,), seed=1), make_item("b", (1, 1), seed=2)]
    torch.manual_seed(0)
    texts = stage.sampled(questions, [item for item in questions for _ in range(8)])
    assert calls == [4] and len(texts) == 16 and len(set(texts)) > 8
    torch.manual_seed(0)
    assert stage.sampled(questions, [item for item in questions for _ in range(8)]) == texts
    stage.eval()
    assert stage.sampled(questions, questions) == stage.sampled(questions, questions)


def test_the_weighed_loss_is_that_of_each_answer_alone(task):
    model = make_model(dropout=0.0).eval()
    stage, question = stage_of(model, task), make_item("a", (2,))
    texts, weights = ["Report: Sinus rhythm", "No", "Report: Normal ECG, Sinus rhythm"], torch.tensor([1.0, -2.0, 0.5])
    together = stage.weighed([question], [question] * 3, texts, weights)
    summed, count = 0.0, 0
    for text, weight in zip(texts, weights):
        batch = collator(model)([make_item("a", (2,), answer=text)])
        summed += weight * model(batch) * len(batch.answers)
        count += len(batch.answers)
    torch.testing.assert_close(together, summed / count, atol=1e-5, rtol=1e-5)


def test_a_policy_earns_more_afterwards(task):
    """Two answers at even odds; what is rewarded becomes the likelier one."""
    torch.manual_seed(0)
    model = make_model(tuning="full", dropout=0.0)
    right, wrong = "Report: Sinus rhythm", "Report: Atrial fibrillation"
    questions = [make_item(f"q{n}", answer=right, seed=n) for n in range(4)]
    mixture = collator(model)([make_item(f"q{n}", answer=text, seed=n) for n in range(4) for text in (right, wrong)])
    model.train_only(GROUPS)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model(mixture).backward()
        optimizer.step()
    stage = stage_of(model, task).train()

    def earned():
        stage.train()
        return float(np.mean(stage.rewards(questions * 8, stage.sampled(questions * 8, questions * 8))))

    before, optimizer = earned(), torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(12):
        optimizer.zero_grad()
        loss = stage.loss(asked(questions))
        assert 0 <= loss.item() <= 1.1 + 1e-6
        loss.backward()
        optimizer.step()
    after = earned()
    assert 0.2 < before < 0.9 and after > before + 0.15, (before, after)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["stages.stage3.objective.group=1"], "group: at least 2"),
        (["stages.stage3.trains=[llm_weights]"], "a grpo stage trains llm"),
        (["stages.stage3.view=text"], "answers about ECGs"),
        (["stages.stage3.objective.gain=0.1"], "leave out its augmentation"),
    ],
)
def test_what_makes_no_sense_is_told(overrides, words):
    with pytest.raises(ConfigError, match=words):
        config.load(RECIPE, [*SMALL, "stages.stage3.objective=grpo", *overrides])


def test_a_stage_knows_the_tasks_that_reward_it():
    experiment = config.load(RECIPE, [*SMALL, "stages.stage3.objective=grpo"])
    stage = experiment.stages["stage3"]
    found = stage.objective.build().depends(experiment, stage, tuned=False)
    assert found.parts["rewards"].keys() == {"report", "localization", "multi_ecg"}
    assert isinstance(stage.objective.build(), GRPO) and tasks["localization"] in found.code
