"""Asking a real model: an interruption changes neither what stands in a batch nor a byte of the answers."""

import pytest

from anyecg.answerers.language_model import Asker
from anyecg.evaluation.evaluate import evaluate
from anyecg.config.schema import InputConfig
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.tasks.report.task import Report
from tests.conftest import make_model

TASKS = {"report": Report(), "multi_ecg": MultiECG()}


class Watched:
    """An asker whose batches are remembered; killed when it has given so many answers."""

    def __init__(self, stores, dies_after=None):
        model = make_model(context=4096).eval()
        plain, self.batches, self.left = model.answer, [], dies_after

        def answer(batch, *rest):
            self.batches.append((batch.ids, tuple(batch.input_ids.shape)))
            return plain(batch, *rest)

        model.answer = answer
        self.asker = Asker(model, stores, InputConfig(), batch_size=4, max_new_tokens=5)

    def __call__(self, samples, view, **answered):
        for prediction in self.asker(samples, view, **answered):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            yield prediction


@pytest.mark.parametrize("answers", [0, 3, 4, 13, 30])
def test_killed_in_mid_batch_it_goes_on_in_the_same_batches_to_the_same_bytes(small_data, tmp_path, answers):
    samples = {task: [small_data.questions[int(row)] for row in small_data.questions.select(task=task)[:10]] for task in TASKS}

    def run(name, asker):
        evaluate(asker, samples, TASKS, tmp_path / name, views=["signal", "shuffled"], bootstrap=0, progress=False)
        return {file.name: file.read_bytes() for file in (tmp_path / name).iterdir() if file.is_file()}

    whole = Watched(small_data.stores)
    expected = run("whole", whole)
    killed, resumed = Watched(small_data.stores, answers), Watched(small_data.stores)
    with pytest.raises(KeyboardInterrupt):
        run("killed", killed)
    assert (tmp_path / "killed" / "predictions.jsonl").read_bytes().count(b"\n") == answers
    assert run("killed", resumed) == expected
    finished = {0: 0, 3: 0, 4: 1, 13: 3, 30: 9}[answers]  # 10 questions in batches of 4, 4 and 2, in each task and view
    assert resumed.batches == whole.batches[finished:]
