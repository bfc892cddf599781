"""What augmentation changes of training clips, and what it leaves as it is."""

import pytest
import torch

from anyecg.objectives.answer import AnswerConfig
from anyecg.objectives.augment import Augmentation, shift
from anyecg.objectives.contrastive import ContrastiveConfig
from anyecg.types import ConfigError, InputSpec


def clips(n=50):
    torch.manual_seed(0)
    mask = torch.ones(n, 12, dtype=torch.bool)
    mask[:, 7] = False
    return torch.randn(n, 12, 1000) * mask[..., None], mask


def test_off_by_default():
    signal, mask = clips()
    for nothing in (Augmentation(), AnswerConfig(), ContrastiveConfig()):
        assert not nothing.any
        assert nothing(signal, mask, 100.0)[0] is signal


@pytest.mark.parametrize("change", [{"gain": 0.2}, {"wander": 0.3}, {"noise": 0.1}])
def test_each_changes_the_leads_that_are_there(change):
    signal, mask = clips()
    shown, seen = Augmentation(**change)(signal, mask, 100.0)
    assert torch.equal(seen, mask) and shown.isfinite().all()
    moved = (shown - signal).abs().amax(2)
    assert (moved[mask] > 0).all() and (moved[~mask] == 0).all()
    assert moved.max() < 10


def test_few_leads_stay_of_those_that_are_there():
    signal, mask = clips(400)
    shown, seen = Augmentation(lead_dropout=0.5, leads_kept=[2, 5])(signal, mask, 100.0)
    counts = seen.sum(1)
    assert not seen[:, 7].any() and set(counts.tolist()) == {2, 3, 4, 5, 11}
    assert 120 < (counts == 11).sum() < 280
    assert (shown[~seen] == 0).all() and torch.equal(shown[seen], signal[seen])


def test_a_shift_moves_all_leads_alike_and_loses_nothing():
    signal, _ = clips()
    moved = shift(signal, 100.0, 1.0)
    assert torch.equal(moved.sort(2).values, signal.sort(2).values)
    for one, other in zip(moved, signal, strict=True):
        assert any(torch.equal(one, other.roll(by, 1)) for by in range(-100, 101))


def test_only_signals_of_twelve_leads_can_be_changed():
    two = InputSpec(leads=("II", "V1"))
    Augmentation().require(two)
    with pytest.raises(ConfigError, match="all twelve leads"):
        Augmentation(noise=0.1).require(two)
