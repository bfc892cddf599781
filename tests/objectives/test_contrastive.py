"""The contrastive stage: the sigmoid loss, reports that say the same, and their embeddings on disk."""

import pickle
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from anyecg.text_encoders.lexical import LexicalEncoder
from anyecg.objectives import contrastive
from anyecg.objectives.contrastive import PairCollator, drop_leads, sigmoid_loss
from anyecg.types import AnyECGError
from tests.conftest import make_item


class Encoder(LexicalEncoder):
    """Counts what it encodes, and fails after so many calls."""

    def __init__(self, error=None, after=0):
        super().__init__(self.Config(dim=64))
        self.texts, self.error, self.left = [], error, after

    def _encode(self, texts):
        if self.error and not self.left:
            raise self.error
        self.left -= 1
        self.texts += texts
        return super()._encode(texts)


def pairs(reports):
    items = [make_item(f"q{i}", seed=i) for i in range(len(reports))]
    return [replace(item, sample=replace(item.sample, evidence=(report,))) for item, report in zip(items, reports)]


def questions(reports):
    return [item.sample for item in pairs(reports)]


MANY = [f"Sinus rhythm, finding {i % 30}" for i in range(70)]


def test_the_loss_is_siglips_pair_by_pair():
    torch.manual_seed(0)
    ecg, text, report = torch.randn(4, 8), torch.randn(4, 8), torch.tensor([0, 1, 0, 2])
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    total = 0.0
    for i in range(4):
        for j in range(4):
            logit = F.cosine_similarity(ecg[i], text[j], dim=0) * scale + bias
            total -= F.logsigmoid(logit if report[i] == report[j] else -logit)
    torch.testing.assert_close(sigmoid_loss(ecg, text, report, scale, bias), total / 4)


def test_equal_reports_are_matches_and_embedded_once(tmp_path):
    encoder, reports = Encoder(), ["Sinus rhythm", "Atrial fibrillation", "Sinus rhythm"]
    batch = PairCollator(questions(reports), range(3), encoder, tmp_path)(pairs(reports))
    assert batch.report[0] == batch.report[2] != batch.report[1] and sorted(encoder.texts) == sorted(set(reports))
    torch.testing.assert_close(batch.text, Encoder().encode(reports), rtol=0, atol=0)
    assert batch.signal.shape == (3, 12, 1000) and batch.lead_mask.shape == (3, 12)


def test_the_loss_is_that_of_embeddings_in_memory(tmp_path):
    torch.manual_seed(0)
    ecg, scale, bias = torch.randn(70, 64), torch.tensor(10.0), torch.tensor(-10.0)
    batch = PairCollator(questions(MANY), range(70), Encoder(), tmp_path)(pairs(MANY))
    number = {report: i for i, report in enumerate(MANY)}
    plain = sigmoid_loss(ecg, Encoder().encode(MANY), torch.tensor([number[report] for report in MANY]), scale, bias)
    torch.testing.assert_close(sigmoid_loss(ecg, batch.text, batch.report, scale, bias), plain)


def test_only_the_rows_given_are_embedded(tmp_path):
    encoder = Encoder()
    PairCollator(questions(MANY), [5, 1, 31, 61], encoder, tmp_path)
    assert sorted(encoder.texts) == [MANY[1], MANY[5]]


def test_a_killed_embedding_goes_on_to_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(contrastive, "TOGETHER", 8)
    whole = PairCollator(questions(MANY), range(70), Encoder(), tmp_path / "whole")
    first, second = Encoder(KeyboardInterrupt(), after=2), Encoder()
    with pytest.raises(KeyboardInterrupt):
        PairCollator(questions(MANY), range(70), first, tmp_path / "killed")
    assert not list((tmp_path / "killed").glob("*.f32"))
    with next((tmp_path / "killed").glob("*.part")).open("ab") as file:
        file.write(b"half a ve")
    goes_on = PairCollator(questions(MANY), range(70), second, tmp_path / "killed")
    assert len(first.texts) == 16 and len(second.texts) == 14 and not set(first.texts) & set(second.texts)
    assert goes_on.path.read_bytes() == whole.path.read_bytes() and not list((tmp_path / "killed").glob("*.part"))
    again = Encoder()
    PairCollator(questions(MANY), range(70), again, tmp_path / "killed")
    assert not again.texts


def test_embeddings_of_other_reports_are_not_taken(tmp_path):
    PairCollator(questions(MANY), range(70), Encoder(), tmp_path)
    batch = PairCollator(questions(MANY[:3]), range(3), Encoder(), tmp_path)(pairs(MANY[:3]))
    assert torch.equal(batch.text, Encoder().encode(MANY[:3]))


def test_a_full_disk_says_so(tmp_path):
    with pytest.raises(AnyECGError, match="embeddings could not be written.*No space left on device.*same command"):
        PairCollator(questions(MANY), range(70), Encoder(OSError(28, "No space left on device")), tmp_path)


def test_a_report_takes_eight_bytes_in_a_worker(tmp_path):
    reports = [f"finding {i}" for i in range(3000)]
    few, many = (PairCollator(questions(reports[:n]), range(n), Encoder(), tmp_path) for n in (300, 3000))
    assert len(pickle.dumps(many)) - len(pickle.dumps(few)) <= 8 * 2700


def test_dropped_leads_are_zero_and_absent():
    torch.manual_seed(0)
    signal, mask = torch.ones(200, 12, 10), torch.ones(200, 12, dtype=torch.bool)
    mask[:, 3] = False
    shown, seen = drop_leads(signal, mask, 0.5)
    counts = seen.sum(1)
    assert 60 < (counts == 11).sum() < 140 and set(counts.tolist()) <= {1, 2, 11}
    assert torch.equal(shown[..., 0].bool() & mask, seen)
    assert drop_leads(signal, mask, 0.0)[0] is signal


def test_a_resumed_stage_reads_no_report(tmp_path):
    before = PairCollator(questions(MANY), range(70), Encoder(), tmp_path)
    again = PairCollator([], range(70), Encoder(), tmp_path)
    assert again.path == before.path and (again.hashes == before.hashes).all()
