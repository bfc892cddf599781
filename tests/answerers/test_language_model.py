"""A real model answering: neither an interruption, nor what is kept, nor a limit changes what stands in a batch or a
byte of the answers.
"""

import pytest
import torch

from anyecg import config
from anyecg.answerers.batching import GROUP, grouped
from anyecg.answerers.language_model import LanguageModel, model_key
from anyecg.config.schema import InputConfig
from anyecg.evaluation.evaluate import evaluate
from anyecg.evaluation.predictions import PredictionStore
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.tasks.report.task import Report
from tests.conftest import SMALL, make_model

TASKS = {"report": Report(), "multi_ecg": MultiECG()}


class Watched(LanguageModel):
    """A language model whose batches are remembered; killed when it has given so many answers."""

    def __init__(self, stores, dies_after=None, **settings):
        super().__init__()
        model = make_model(context=4096).eval()
        plain, self.batches, self.left = model.answer, [], dies_after

        def answer(batch, *rest):
            self.batches.append((batch.ids, tuple(batch.input_ids.shape)))
            return plain(batch, *rest)

        model.answer = answer
        self.use(model, stores, InputConfig(), **{"batch_size": 4, "max_new_tokens": 5} | settings)

    def answer(self, samples, view, answered=frozenset()):
        for prediction in super().answer(samples, view, answered):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            yield prediction


@pytest.mark.parametrize("answers", [0, 3, 4, 13, 30])
def test_killed_in_mid_batch_it_goes_on_in_the_same_batches_to_the_same_bytes(small_data, tmp_path, answers):
    samples = {
        task: [small_data.questions[int(row)] for row in small_data.questions.select(task=task)[:10]] for task in TASKS
    }

    def run(name, asker):
        evaluate(asker, samples, TASKS, tmp_path / name, views=["signal", "shuffled"], bootstrap=0, progress=False)
        return {file.name: file.read_bytes() for file in (tmp_path / name).iterdir() if file.is_file()}

    whole = Watched(small_data.stores)
    expected = run("whole", whole)
    killed, resumed = Watched(small_data.stores, answers), Watched(small_data.stores)
    with pytest.raises(KeyboardInterrupt):
        run("killed", killed)
    assert sum(file.read_bytes().count(b"\n") for file in (tmp_path / "killed").rglob("*.jsonl")) == answers
    assert run("killed", resumed) == expected
    finished = {0: 0, 3: 0, 4: 1, 13: 3, 30: 9}[answers]  # 10 questions in batches of 4, 4 and 2, in each task and view
    assert resumed.batches == whole.batches[finished:]


@pytest.mark.parametrize("limits", [(5, 20), (8, 20), (20, 9)])
def test_what_another_limit_left_changes_no_batch_and_no_answer(small_data, tmp_path, limits):
    """Batches of two, eight questions a group: what a group of the smaller limit has whole is not generated again."""
    samples = [small_data.questions[int(row)] for row in small_data.questions.select(task="report")[:20]]
    store, fresh = PredictionStore(tmp_path / "kept"), Watched(small_data.stores, batch_size=2)
    expected = PredictionStore(tmp_path / "fresh").predict(fresh, samples[: limits[1]], "signal")
    first, second = (Watched(small_data.stores, batch_size=2) for _ in range(2))
    store.predict(first, samples[: limits[0]], "signal")
    assert store.predict(second, samples[: limits[1]], "signal") == expected
    shared = [batch for batch in fresh.batches if batch in first.batches]
    assert second.batches == [batch for batch in fresh.batches if batch not in shared]
    whole = min(limits) // (2 * GROUP) * GROUP  # batches of the groups that both have
    assert len(shared) >= whole


def test_the_batches_of_more_questions_begin_with_those_of_fewer():
    lengths = [(7 * i) % 23 for i in range(50)]
    ids = [f"{i:02}" for i in range(50)]
    few, more = ({tuple(batch) for batch in grouped(lengths[:n], ids[:n], 4)} for n in (32, 50))
    assert few <= more and sorted(place for batch in more for place in batch) == list(range(50))
    tops = [lengths[batch[0]] for batch in grouped(lengths, ids, 4)]
    assert tops == sorted(tops, reverse=True)
    left = grouped(lengths, ids, 4, leave_out=[0, 40])
    assert sorted(place for batch in left for place in batch) == [place for place in range(50) if place not in (0, 40)]


def test_it_answers_in_the_precision_that_it_trained_in(small_data, monkeypatch):
    samples = [small_data.questions[int(row)] for row in small_data.questions.select(task="report")[:2]]
    found, keys = {}, set()
    for precision in ("32-true", "bf16-mixed"):
        one = Watched(small_data.stores, precision=precision)
        one.model.connector.register_forward_hook(
            lambda module, inputs, output: found.update({precision: output.dtype})
        )
        assert len(list(one.answer(samples, "signal"))) == 2
        keys.add(one.key)
    assert found == {"32-true": torch.float32, "bf16-mixed": torch.bfloat16} and len(keys) == 2


def test_the_key_of_a_model_holds_its_parts_and_nothing_of_the_evaluation():
    def key(*overrides):
        return model_key(config.load("experiments/anyecg_chat.yaml", [*SMALL, *overrides]), [])

    assert key() == key(
        "evaluation.bootstrap=7", "evaluation.limit=3", "answerer=prior", "text_encoder=sentence", "output=elsewhere"
    )
    assert len({key(), key("encoder.dim=64"), key("llm.vocab=700"), key("seed=1")}) == 4
