"""The contrastive stage: the sigmoid loss, and reports that say the same."""

import torch
from torch.nn import functional as F

from anyecg.text_encoders.lexical import LexicalEncoder
from anyecg.training.contrastive import PairCollator, drop_leads, sigmoid_loss
from tests.conftest import make_item


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


def test_equal_reports_are_matches_and_embedded_once():
    encoder = LexicalEncoder(LexicalEncoder.Config())
    items = [make_item(f"q{i}") for i in range(3)]
    batch = PairCollator(["Sinus rhythm", "Atrial fibrillation", "Sinus rhythm"], encoder)(items)
    assert batch.report.tolist() == [0, 0, 0]
    assert torch.equal(batch.text[0], batch.text[2])
    assert batch.signal.shape == (3, 12, 1000) and batch.lead_mask.shape == (3, 12)


def test_dropped_leads_are_zero_and_absent():
    torch.manual_seed(0)
    signal, mask = torch.ones(200, 12, 10), torch.ones(200, 12, dtype=torch.bool)
    mask[:, 3] = False
    shown, seen = drop_leads(signal, mask, 0.5)
    counts = seen.sum(1)
    assert 60 < (counts == 11).sum() < 140 and set(counts.tolist()) <= {1, 2, 11}
    assert torch.equal(shown[..., 0].bool() & mask, seen)
    assert drop_leads(signal, mask, 0.0)[0] is signal
