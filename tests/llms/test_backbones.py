"""MEIT's backbones by name: their LoRA, their template, their sizes without weights."""

import pytest
import torch

from anyecg.fusion.kv import FAMILIES
from anyecg.llms import llms
from anyecg.llms.backbones import AttentionLoRA, LinearLoRA
from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.llms.lora import LoRAConfig
from anyecg.types import ConfigError, Turn

NAMES = [name for name in llms.table() if llms.target(name).startswith("anyecg.llms.backbones")]
SEVEN = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
ATTENTION = {"q_proj", "k_proj", "v_proj"}
SMALL = {  # name -> its family of tests/llms/families.py, and what its LoRA adapts (the spec's section 3)
    "gpt2-medium": ("GPT2", {"c_attn"}),
    "gpt2-large": ("GPT2", {"c_attn"}),
    "gpt-neo-1.3b": ("GPTNeo", ATTENTION),
    "gpt-neo-2.7b": ("GPTNeo", ATTENTION),
    "gpt-j-6b": ("GPTJ", ATTENTION),
    "gpt-neox-20b": ("GPTNeoX", {"query_key_value"}),
    "bloom-7b1": ("Bloom", {"query_key_value"}),
    "opt-6.7b": ("OPT", ATTENTION),
    "llama-7b": ("Llama", SEVEN),
    "llama-2-7b": ("Llama", SEVEN),
    "llama-2-13b-chat": ("Llama", SEVEN),
    "llama-2-70b-chat": ("Llama", SEVEN),
    "llama-3-8b-instruct": ("Llama", SEVEN),
    "mistral-7b": ("Mistral", SEVEN),
    "mistral-7b-instruct": ("Mistral", SEVEN),
}


def adapted(llm):
    return {name.split(".lora_")[0].rpartition(".")[2] for name, _ in llm.tuned()}


@pytest.mark.parametrize("name", NAMES)
def test_its_lora_and_template(name, family_folder):
    family, targets = SMALL[name]
    cls = llms[name]
    llm = cls(cls.Config(path=str(family_folder(family)), attention=None))
    assert adapted(llm) == targets
    cfg = cls.Config()
    assert (cfg.lora.r, cfg.lora.alpha, cfg.lora.dropout, cfg.chat, cfg.dtype) == (64, 128, 0.1, "tulu", "float32")
    config = cls.architecture(cfg)  # as it is shipped, no hub
    assert config.model_type in FAMILIES and config.name_or_path == cfg.path


def test_every_backbone_of_the_spec_is_here():
    assert {*NAMES} == {*SMALL}


def test_llama_2_has_the_papers_numbers():
    """159.9 M of LoRA in LLaMA-2 7B."""
    cls = llms["llama-2-7b"]
    outline = cls.outline(cls.Config())
    assert sum(p.numel() for _, p in outline.tuned()) == 159_907_840
    assert sum(p.numel() for _, p in outline.weights()) == 6_738_415_616 and outline.head_size() == 128


def test_words_for_targets(load):
    assert adapted(load("Llama", lora=LoRAConfig(targets=["qk"]))) == {"q_proj", "k_proj"}
    assert adapted(load("OPT", lora=LoRAConfig(targets=["linear"]))) == ATTENTION | {"out_proj", "fc1", "fc2"}
    fused = load("Bloom", lora=LoRAConfig(targets=["qkv"]))
    fused.hidden(torch.randn(1, 4, fused.dim)).square().sum().backward()
    moved = [p.grad.abs().sum(1) > 0 for name, p in fused.tuned() if "lora_B" in name]
    assert all(rows.all() for rows in moved)  # values learn too
    with pytest.raises(ConfigError, match="targets: 'qkv' stands alone"):
        LoRAConfig(targets=["qkv", "o_proj"])
    assert AttentionLoRA().kind == "qkv" and LinearLoRA().kind == "linear"


def test_lora_stays_out_of_a_vision_tower(tmp_path, family_folder):
    """Gemma 3 with its tower, whose layers have the same names."""
    from transformers import AutoTokenizer, Gemma3Config, Gemma3ForConditionalGeneration

    text = dict(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48,
        head_dim=8, vocab_size=320, max_position_embeddings=128,
    )  # fmt: skip
    vision = dict(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=28, patch_size=14
    )
    config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=1)
    Gemma3ForConditionalGeneration(config).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(family_folder("Llama")).save_pretrained(tmp_path)
    llm = HFLanguageModel(HFConfig(path=str(tmp_path), dtype="float32"))
    assert llm.tuned() and not [name for name, _ in llm.tuned() if "vision" in name]


def test_the_tulu_template(load):
    """`<|user|>`, question, `<|assistant|>`, report, eos; the tags are words, and only the report and eos are learned."""
    llm = load("Llama", chat="tulu")
    pieces = llm.chat.segments([Turn("user", "Why?"), Turn("assistant", "so"), Turn("user", "And?")])
    text = llm.tokenizer.decode([id for piece in pieces for id in piece.ids])
    assert text == "<bos><|user|>\nWhy?\n<|assistant|>\nso<eos>\n<|user|>\nAnd?\n"
    assert [llm.tokenizer.decode(piece.ids) for piece in pieces if piece.answer] == ["so<eos>"]
    asked = llm.chat.segments([Turn("user", "Why?")], for_generation=True)
    assert llm.tokenizer.decode([id for piece in asked for id in piece.ids]) == "<bos><|user|>\nWhy?\n<|assistant|>\n"
