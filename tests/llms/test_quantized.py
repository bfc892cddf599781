"""4-bit weights under LoRA: a quarter of the bytes, nearly the same states, gradients for LoRA alone, the same adapter."""

import pytest
import torch

from anyecg import config
from anyecg.llms.hf import HFConfig
from anyecg.training.machine import check_machine
from anyecg.types import ConfigError


@pytest.fixture
def bitsandbytes():
    return pytest.importorskip("bitsandbytes")


def body_bytes(llm):
    named = [(name, p) for name, p in llm.lm.base_model.named_parameters() if "proj" in name and "lora_" not in name]
    return sum(p.numel() * p.element_size() for _, p in named)


@pytest.fixture
def load_wide(family_folder, load):
    """settings -> a Llama whose rows bitsandbytes reads rightly on any machine."""
    path = str(family_folder("Llama", hidden_size=64, intermediate_size=128, num_key_value_heads=4, head_dim=16))
    return lambda **settings: load("Llama", path=path, **settings)


def test_weights_take_an_eighth_of_float32_and_stay_near(load_wide, bitsandbytes):
    whole, small = load_wide(), load_wide(quantize="4bit")
    assert body_bytes(small) <= body_bytes(whole) / 7  # the scales are beside
    one, other = (llm.lm.base_model.layers[0].mlp.up_proj.weight for llm in (whole, small))
    state = other.quant_state
    assert state.quant_type == "nf4" and state.nested
    read = bitsandbytes.functional.dequantize_4bit(other.data, state).float()
    assert (read - one).norm() < 0.15 * one.norm()
    embeds = torch.randn(2, 9, whole.dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        one, other = whole.hidden(embeds).flatten(), small.hidden(embeds).flatten().float()
    assert torch.cosine_similarity(one, other, dim=0) > 0.5  # random weights, so wide that errors grow with each layer
    assert len(small.generate(embeds, torch.ones(2, 9), 4)) == 2


def test_lora_alone_learns_and_its_adapter_is_read_by_whole_weights(load_wide, bitsandbytes, tmp_path):
    small = load_wide(quantize="4bit").train()
    assert {name for name, p in small.named_parameters() if p.requires_grad} == {name for name, _ in small.tuned()}
    optimizer = torch.optim.AdamW([p for _, p in small.tuned()], lr=0.05)
    embeds, targets = torch.randn(2, 6, small.dim), torch.randint(5, 300, (2,))
    losses = []
    for _ in range(8):
        loss = small.loss(small.hidden(embeds)[:, -1], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    small.save_tuned(tmp_path)
    whole = load_wide()
    whole.load_tuned(tmp_path)
    for (name, ours), (_, theirs) in zip(small.tuned(), whole.tuned(), strict=True):
        assert torch.equal(ours, theirs), name


def test_rows_that_a_cpu_would_read_wrongly_are_refused(load, bitsandbytes, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"no multiple of 64, and \S+ has rows of 32"):
        load("Llama", quantize="4bit")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"quantize": "8bit"}, "'8bit' is unknown"),
        ({"quantize": "4bit", "tuning": "full"}, "4-bit weights cannot be trained"),
    ],
)
def test_what_makes_no_sense_is_told(settings, words):
    with pytest.raises(ConfigError, match=words):
        HFConfig(**settings)


def test_bitsandbytes_that_is_not_installed_is_told_before_any_data_is_built(monkeypatch):
    experiment = config.load("experiments/anyecg_chat.yaml", ["llm=hf", "llm.quantize=4bit"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"anyecg\[qlora\]"):
        check_machine(experiment.trainer, experiment.llm)
