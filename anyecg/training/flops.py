"""The floating-point operations that a sample takes in training, from the shapes of the model's matrices and the
lengths of its samples.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from transformers.modeling_layers import GradientCheckpointingLayer

from anyecg.llms.base import LanguageModel
from anyecg.model import ECGLanguageModel
from anyecg.types import CANONICAL_LEADS, ConfigError

FORMULA = (
    "a matrix of P parameters takes 2P a token forward, 2P back through it, and 2P more where it learns (6P; 4P where "
    "it is frozen with "
    "something to learn before it; 2P where there is nothing); attention over T tokens takes 4 T² width a layer "
    "forward and twice that back, "
    "not halved for its causal mask; logits only at answer tokens; encoder and connector as torch's FlopCounterMode "
    "counts their forward pass; a fusion's matrices as the LLM's"
)


# torch's counter knows the CPU's attention from 2.15 on
CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)
}


@dataclass(frozen=True)
class Shape:
    """What of a sample decides its cost. clips: over all its ECGs; tokens: that the LLM reads, ECG and text;
    answers: that it learns.
    """

    clips: int
    tokens: int
    answers: int


@dataclass(frozen=True)
class Forward:
    """FLOPs of one forward pass: of the encoder and the connector a clip, of the fusion and the LLM's parts a token
    (attention: a pair of tokens).
    """

    encoder: int
    connector: int
    body: int
    lora: int
    head: int
    attention: int
    fusion: int = 0
    last: int = 0  # of `body`, the last product of each layer

    @classmethod
    def of(cls, model: ECGLanguageModel) -> Forward:
        """Of a model on any device, the meta device too. ConfigError for an encoder or connector that cannot run
        there.
        """
        device = model.device
        clip = torch.empty(1, *model.encoder.input.shape, device=device)
        mask = torch.ones(1, len(CANONICAL_LEADS), dtype=torch.bool, device=device)
        try:
            with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
                tokens = model.encoder(clip, mask)
                encoder = counter.get_total_flops()
                model.connector(tokens)
        except (RuntimeError, NotImplementedError) as error:
            raise ConfigError(
                f"encoder or connector: --plan cannot run them on the {device.type} device "
                f"({str(error).splitlines()[0]})"
            ) from error
        lora = sum(p.numel() for name, p in model.llm.named_parameters() if "lora_" in name)
        matrices = sum(p.numel() for p in model.fusion.groups()["fusion"].values() if p.ndim >= 2)
        eye = counter.get_total_flops()
        return cls(
            encoder,
            eye - encoder,
            body=2 * _matrices(model.llm),
            lora=2 * lora,
            head=2 * _head(model.llm),
            attention=4 * _width(model.llm),
            fusion=2 * matrices,
            last=2 * _last(model.llm),
        )


def answering_flops(forward: Forward, shape: Shape, trains: Collection[str], tuning: str) -> float:
    """FLOPs of one sample of an `answer` stage, forward and backward, nothing computed twice.

    trains: the stage's groups; tuning: the LLM's. Neither optimizer, norms nor padding are counted.
    """
    encoder, connector = "encoder" in trains, "connector" in trains
    full = "llm_weights" in trains or ("llm" in trains and tuning == "full")
    lora = "llm" in trains and tuning == "lora"
    eye = shape.clips * (forward.encoder * (1 + 2 * encoder) + forward.connector * (1 + connector + encoder))
    text = shape.tokens * (
        forward.body * (2 + full) + forward.lora * (2 + lora) + forward.fusion * (2 + ("fusion" in trains))
    ) + shape.answers * forward.head * (2 + full)
    return eye + text + 3 * forward.attention * shape.tokens**2


def recomputed_flops(forward: Forward, shape: Shape) -> float:
    """What gradient checkpointing adds to a sample: the LLM's layers once more, each up to its last product, whose
    result no gradient needs.
    """
    return (
        shape.tokens * (forward.body - forward.last + forward.lora + forward.fusion)
        + forward.attention * shape.tokens**2
    )


def _matrices(llm: LanguageModel) -> int:
    """Parameters of the matrices between the LLM's embeddings and its head, without LoRA."""
    embeddings = {id(p) for module in llm.lm.modules() if isinstance(module, nn.Embedding) for p in module.parameters()}
    body = (p for name, p in llm.lm.base_model.named_parameters() if p.ndim >= 2 and "lora_" not in name)
    return sum(p.numel() for p in body if id(p) not in embeddings)


def _last(llm: LanguageModel) -> int:
    """Parameters of the last matrix of each layer."""
    layers = (module for module in llm.lm.base_model.modules() if isinstance(module, GradientCheckpointingLayer))
    matrices = ([p for name, p in layer.named_parameters() if p.ndim >= 2 and "lora_" not in name] for layer in layers)
    return sum(own[-1].numel() for own in matrices if own)


def _head(llm: LanguageModel) -> int:
    return llm.lm.get_output_embeddings().weight.numel()


def _width(llm: LanguageModel) -> int:
    """All heads of all layers side by side."""
    config = llm.lm.config
    heads = config.num_attention_heads
    return config.num_hidden_layers * heads * (getattr(config, "head_dim", None) or config.hidden_size // heads)
