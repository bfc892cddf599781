"""MEIT's backbones by name: where each lies on the hub, and the layers that its LoRA adapts (arXiv 2403.04945)."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass

from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.llms.lora import LoRAConfig


@dataclass(frozen=True)
class AttentionLoRA(LoRAConfig):
    r: int = 64
    alpha: int = 128
    dropout: float = 0.1
    targets: list[str] = field(default_factory=lambda: ["qkv"])


@dataclass(frozen=True)
class LinearLoRA(AttentionLoRA):
    targets: list[str] = field(default_factory=lambda: ["linear"])


def settings(path: str, targets: str) -> type[HFConfig]:
    """Settings of an LLM at a hub id, with MEIT's defaults: r 64, alpha 128, dropout 0.1, its chat template, float32
    weights (under trainer.precision: bf16-mixed). targets: one of the words of `LoRAConfig.targets`: MEIT's code names
    seven layers, of which LLaMA and Mistral have all and other families the attention's only.
    """
    lora = LinearLoRA if targets == "linear" else AttentionLoRA
    fields = [
        ("path", str, path),
        ("dtype", str, "float32"),
        ("chat", str, "tulu"),
        ("lora", lora, field(default_factory=lora)),
    ]
    return make_dataclass("Config", fields, bases=(HFConfig,), frozen=True)


class GPT2Medium(HFLanguageModel):
    """GPT-2 medium, 345 M."""

    Config = settings("openai-community/gpt2-medium", "qkv")


class GPT2Large(HFLanguageModel):
    """GPT-2 large, 774 M."""

    Config = settings("openai-community/gpt2-large", "qkv")


class GPTNeo1B(HFLanguageModel):
    """GPT-Neo 1.3 B, of MEIT's scripts."""

    Config = settings("EleutherAI/gpt-neo-1.3B", "qkv")


class GPTNeo3B(HFLanguageModel):
    """GPT-Neo 2.7 B, of MEIT's tables."""

    Config = settings("EleutherAI/gpt-neo-2.7B", "qkv")


class GPTJ(HFLanguageModel):
    """GPT-J 6 B."""

    Config = settings("EleutherAI/gpt-j-6b", "qkv")


class GPTNeoX(HFLanguageModel):
    """GPT-NeoX 20 B."""

    Config = settings("EleutherAI/gpt-neox-20b", "qkv")


class Bloom(HFLanguageModel):
    """BLOOM 7.1 B."""

    Config = settings("bigscience/bloom-7b1", "qkv")


class OPT(HFLanguageModel):
    """OPT 6.7 B."""

    Config = settings("facebook/opt-6.7b", "qkv")


class Llama1(HFLanguageModel):
    """LLaMA-1 7 B."""

    Config = settings("huggyllama/llama-7b", "linear")


class Llama2(HFLanguageModel):
    """LLaMA-2 7 B."""

    Config = settings("meta-llama/Llama-2-7b-hf", "linear")


class Llama2Chat13B(HFLanguageModel):
    """LLaMA-2 13 B, chat."""

    Config = settings("meta-llama/Llama-2-13b-chat-hf", "linear")


class Llama2Chat70B(HFLanguageModel):
    """LLaMA-2 70 B, chat."""

    Config = settings("meta-llama/Llama-2-70b-chat-hf", "linear")


class Llama3(HFLanguageModel):
    """LLaMA-3 8 B, instruct."""

    Config = settings("meta-llama/Meta-Llama-3-8B-Instruct", "linear")


class Mistral(HFLanguageModel):
    """Mistral 7 B."""

    Config = settings("mistralai/Mistral-7B-v0.1", "linear")


class MistralInstruct(HFLanguageModel):
    """Mistral 7 B, instruct."""

    Config = settings("mistralai/Mistral-7B-Instruct-v0.2", "linear")
