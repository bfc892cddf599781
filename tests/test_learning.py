"""The objectives learn: one batch by heart under every fusion, reports by their ECGs, nothing from shuffled pairs."""

import numpy as np
import pytest
import torch

from anyecg.connectors import connectors
from anyecg.fusion import fusions
from anyecg.objectives.contrastive import sigmoid_loss
from anyecg.types import CANONICAL_LEADS
from tests.conftest import collator, make_item, make_model

ANSWERS = (
    "Report: Sinus rhythm",
    "Premature ventricular contraction",
    "Normal ECG",
    "No Premature ventricular contraction Found",
)


def connector_for(fusion):
    """The first registered connector that enters the LLM as the fusion does."""
    return next(name for name in connectors.table() if connectors[name].enters == fusions[fusion].enters)


@pytest.mark.parametrize("fusion", fusions.table())
def test_one_batch_is_learned_by_heart_and_from_the_ecgs(fusion):
    """The questions are the same: only the ECGs tell which answer is whose."""
    model = make_model(fusion=fusion, connector=connector_for(fusion), dropout=0.0)
    model.train_only([group for group, parameters in model.groups().items() if parameters])
    items = [make_item(f"q{n}", clips=(1,), answer=answer, seed=n) for n, answer in enumerate(ANSWERS)]
    batch = collator(model)(items)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    losses = []
    model.train()
    for _ in range(120):
        loss = model(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 4 and losses[-1] < 0.05, losses[::20]
    model.eval()
    swapped = collator(model)(
        [make_item(f"q{n}", clips=(1,), answer=answer, seed=(n + 1) % len(ANSWERS)) for n, answer in enumerate(ANSWERS)]
    )
    with torch.no_grad():
        assert model(swapped) > 20 * model(batch)  # the ECG of another question has another answer


KINDS, EACH = 12, 8  # distinct reports, and ECGs of each


def pairs(seed, shuffled=False):
    """Clips `[N, 12, 1000]` of beats, rate and width by report, and the report's number `[N]` (or another's)."""
    rng = np.random.default_rng(seed)
    kinds = np.repeat(np.arange(KINDS), EACH)
    time = np.arange(1000) / 100
    gains = np.random.default_rng(0).uniform(0.5, 1.0, len(CANONICAL_LEADS))
    clips = []
    for kind in kinds:
        rate, width = 0.8 + 0.35 * (kind % 4), (0.03, 0.06, 0.12)[kind // 4]  # Hz, s
        phase = (time * rate + rng.uniform()) % 1 / rate
        beat = np.exp(-(((phase - 0.3) / width) ** 2)) + rng.normal(0, 0.03, 1000)
        clips.append(gains[:, None] * beat)
    numbers = rng.permutation(kinds) if shuffled else kinds
    return torch.tensor(np.array(clips), dtype=torch.float32), torch.tensor(numbers)


def found(encoder, head, texts, seed):
    """Share of new ECGs whose own report is the nearest of all."""
    clips, kinds = pairs(seed)
    with torch.no_grad():
        ecg = torch.nn.functional.normalize(
            head(encoder.pooled(encoder(clips, torch.ones(len(clips), 12, dtype=torch.bool)))), dim=-1
        )
    return ((ecg @ texts.T).argmax(1) == kinds).float().mean().item()


def retrieval(shuffled):
    """Retrieval@1 on new ECGs, before and after 80 steps of the sigmoid loss."""
    model = make_model(dropout=0.0, stem=16)
    encoder = model.encoder.train()
    torch.manual_seed(0)
    texts = torch.nn.functional.normalize(torch.randn(KINDS, 32), dim=-1)
    head, scale, bias = (
        torch.nn.Linear(encoder.dim, 32),
        torch.nn.Parameter(torch.tensor(10.0).log()),
        torch.nn.Parameter(torch.tensor(-10.0)),
    )
    optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters(), scale, bias], lr=2e-3)
    before = found(encoder.eval(), head, texts, seed=1000)
    encoder.train()
    clips, kinds = pairs(0, shuffled)
    for step in range(80):
        rows = torch.from_numpy(np.random.default_rng(step).permutation(len(clips))[:32])
        ecg = head(encoder.pooled(encoder(clips[rows], torch.ones(len(rows), 12, dtype=torch.bool))))
        loss = sigmoid_loss(ecg, texts[kinds[rows]], kinds[rows], scale.exp(), bias)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return before, found(encoder.eval(), head, texts, seed=1000)


def test_contrastive_training_finds_the_reports_of_new_ecgs_and_shuffled_pairs_teach_nothing():
    before, after = retrieval(shuffled=False)
    _, shuffled = retrieval(shuffled=True)
    chance = 1 / KINDS
    assert before < 3 * chance and after > 6 * chance and shuffled < 3 * chance, (before, after, shuffled)
