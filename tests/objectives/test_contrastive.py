"""The contrastive stage: random batches, the sigmoid loss, reports that say the same, and their embeddings on disk."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from anyecg.config.schema import StageConfig
from anyecg.data.dataset.data import Data
from anyecg.objectives import contrastive
from anyecg.objectives.augment import drop_leads
from anyecg.objectives.contrastive import PairCollator, PairData, sigmoid_loss
from anyecg.text_encoders.lexical import LexicalEncoder
from anyecg.types import AnyECGError, ConfigError
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


def paired(data, folder, devices=1, **settings):
    cfg = StageConfig(objective="contrastive", **{"tasks": {"report": 1}, "samples": 512, "batch_size": 16} | settings)
    return PairData(data, cfg, Encoder(), folder, replay=0.0, seed=0, devices=devices)


def equal_pairs(loader):
    """Share of the pairs off the diagonal whose reports are the same."""
    same, pairs = 0, 0
    for batch in loader.train_dataloader():
        n = len(batch.report)
        same += int((batch.report[:, None] == batch.report[None]).sum()) - n
        pairs += n * (n - 1)
    return same / pairs


def test_which_pairs_meet_is_chance(small_data, tmp_path):
    """Batches of reports of like length held several times as many equal ones, which are no negatives."""
    loader = paired(small_data, tmp_path)
    questions = small_data.questions
    reports = np.array([hash(questions[int(row)].evidence[0]) for row in loader.plan.rows])
    chance = (reports[:, None] == reports[None]).mean() - 1 / len(reports)
    assert equal_pairs(loader) == pytest.approx(chance, abs=0.02)
    lengths = np.array([len(questions[int(row)].evidence[0]) for row in loader.plan.rows])
    within = lengths.reshape(-1, 16).std(1).mean()
    assert within > 0.85 * lengths.std()  # sorted by length it is a tenth


def test_a_batch_is_a_micro_batch_or_the_whole_step_whatever_the_devices(small_data, tmp_path):
    whole, shared, cut = (
        paired(small_data, tmp_path),
        paired(small_data, tmp_path, devices=4),
        paired(small_data, tmp_path, micro_batch=8),
    )
    assert [made.accumulate for made in (whole, shared, cut)] == [1, 1, 2] and [
        len(made.plan[0]) for made in (whole, shared, cut)
    ] == [16, 4, 8]
    assert whole.plan.rows.tolist() == shared.plan.rows.tolist() == cut.plan.rows.tolist()


@pytest.mark.parametrize("pool", ["multi_ecg", "localization_long"])
def test_a_pool_without_pairs_is_refused(small_data, tmp_path, pool):
    with pytest.raises(
        ConfigError, match=f"of the pool {pool} is about one ECG of at most one clip that has a report.*stages"
    ):
        paired(small_data, tmp_path, tasks={pool: 1})


def test_a_long_recording_and_one_without_a_report_are_no_pairs(tmp_path):
    items = pairs(["Sinus rhythm", "Atrial fibrillation", ""])
    seconds = {0: 10.0, 1: 60.0, 2: 10.0}
    samples = [
        replace(item.sample, pool="report", records=(replace(item.sample.records[0], record=str(n)),))
        for n, item in enumerate(items)
    ]

    class Questions(list):
        def distinct(self, name):
            return {"report"}

        def select(self, **wanted):
            return np.arange(len(self))

    stores = SimpleNamespace(
        fs=100.0,
        seconds=lambda window: seconds[int(window.record)],
        read=lambda window: (np.ones((12, 1000), np.float32), np.ones(12, bool)),
    )
    loader = paired(Data(stores, Questions(samples), ""), tmp_path, samples=4, batch_size=4)
    assert loader.plan.rows.tolist() == [0, 0, 0, 0] and list(loader.skipped.values()) == [2]


def test_nothing_is_tokenised_for_a_pair(small_data, tmp_path, monkeypatch):
    from anyecg.llms.chat import Chat

    monkeypatch.setattr(Chat, "segments", lambda *_, **__: pytest.fail("tokenised"))
    assert next(iter(paired(small_data, tmp_path).train_dataloader())).text.shape == (16, 64)


def test_logits_are_float32_in_16_bits():
    torch.manual_seed(0)
    ecg, text, report = torch.randn(64, 32), torch.randn(64, 32), torch.arange(64)
    scale, bias = torch.tensor(10.0), torch.tensor(-10.0)
    half = [value.bfloat16() for value in (ecg, text)]
    exact = sigmoid_loss(*(value.float() for value in half), report, scale, bias)
    with torch.autocast("cpu", torch.bfloat16):
        assert sigmoid_loss(*half, report, scale.bfloat16(), bias.bfloat16()).dtype == torch.float32
        torch.testing.assert_close(
            sigmoid_loss(*half, report, scale.bfloat16(), bias.bfloat16()), exact, rtol=1e-6, atol=0
        )
