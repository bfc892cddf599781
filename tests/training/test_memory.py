"""Memory of training: the data path of a stage grows by a few bytes a question, whatever the questions say."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from anyecg.config.schema import InputConfig, StageConfig
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.questions_file import Questions, write_questions
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.loader import StageData
from anyecg.objectives.contrastive import PairData
from anyecg.text_encoders.lexical import LexicalEncoder
from anyecg.types import MARKER, ECGSample, Turn, Window
from tests.conftest import make_model

FEW, MANY = 500, 5000
VISITS = 160
BYTES = 48  # a question may take at most, of the Python heap and of arrays, while a stage is set up and after
STORES = SimpleNamespace(
    fs=100.0, seconds=lambda window: 10.0, read=lambda window: (np.ones((12, 1000), np.float32), np.ones(12, bool))
)


def question(n):
    report = f"Sinus rhythm, finding number {n} of many, no other abnormality of the rhythm or the conduction, otherwise normal ECG"
    return ECGSample(
        id=f"report/mimic/{n}/0", task="report", pool="report", subset="mimic", patient=f"mimic/{n // 3}", records=(Window(f"mimic/{n}", 0.0, 10.0),),
        conversation=(Turn("user", f"{MARKER}\nGive me the report of this ECG."), Turn("assistant", f"Report: {report}")), evidence=(report,),
    )  # fmt: skip


def peak_and_kept(count, collator, folder, objective):
    """Bytes at most and at the end of the data path of a stage over `count` questions, VISITS of them visited."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{count}.arrow"
    write_questions(path, (("train", question(n)) for n in range(count)), {})
    encoder = LexicalEncoder(LexicalEncoder.Config(dim=64))
    tracemalloc.start()
    data = Data(STORES, Questions(path), "")
    cfg = StageConfig(tasks={"report": 1}, samples=VISITS, batch_size=16)
    if objective == "contrastive":
        loader = PairData(data, cfg, encoder, folder / f"{count}", replay=0.0, seed=0)
    else:
        loader = StageData(
            data, cfg, InputConfig(), replay=0.0, seed=0, collate=collator, measure=collator.measure, context=2048
        )
    assert sum(len(batch.ids) for batch in loader.train_dataloader()) == VISITS
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return np.array([peak, kept])


@pytest.mark.parametrize("objective", ["contrastive", "answer"])
def test_a_question_takes_a_few_bytes(tmp_path, objective):
    model = make_model()
    collator = Collator(model.llm.chat, model.places, model.llm.context)
    peak_and_kept(VISITS, collator, tmp_path, objective)  # what is loaded and cached once
    # the least of three: what else allocates in this process meanwhile is no part of it
    few, many = (
        np.min([peak_and_kept(count, collator, tmp_path / str(n), objective) for n in range(3)], axis=0)
        for count in (FEW, MANY)
    )
    peak, kept = (many - few) / (MANY - FEW)
    assert peak < BYTES and kept < BYTES
