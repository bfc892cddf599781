"""LoRA on the query and key projections of any family, peft's own, with the rows of values held at zero."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from anyecg.config.checks import Checks
from anyecg.types import ConfigError

FUSED = {"gpt2": "c_attn", "gpt_neox": "query_key_value", "bloom": "query_key_value"}  # family -> its one projection


@dataclass(frozen=True)
class LoRAConfig:
    r: int = 8  # rank
    alpha: int = 16  # scale: the update is multiplied by alpha / r
    dropout: float = 0.05  # on the update's input
    targets: list[str] = field(default_factory=list)  # names of the layers to adapt; empty: query and key projections
    float32: bool = True  # keep the adapter in float32 over a bfloat16 LLM (false under DeepSpeed's bf16)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("r", "alpha", least=1)
            check.number("dropout", least=0, below=1)


def add_lora(model: PreTrainedModel, cfg: LoRAConfig) -> PeftModel:
    """The model with LoRA on its query and key projections (paper: r 8, Stage 2 and 3); the rest is frozen.

    A fused projection gets its whole update, but the rows that make values have no gradient and stay 0.
    Raises ConfigError for a family whose projections are not known and `llm.lora.targets` is empty.
    """
    targets = list(cfg.targets) or _query_and_key(model)
    lora = LoraConfig(
        r=cfg.r,
        lora_alpha=cfg.alpha,
        lora_dropout=cfg.dropout,
        target_modules=targets,
        fan_in_fan_out=targets == ["c_attn"],  # GPT-2's layers hold their matrix transposed
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, lora, autocast_adapter_dtype=cfg.float32)
    except ValueError as error:
        raise ConfigError(f"llm.lora.targets: {', '.join(targets)}: {error}") from error
    if not cfg.targets and model.config.model_type in FUSED:
        rows = query_key_rows(model.config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.register_hook(_keep(rows))
    return adapted


def _query_and_key(model: PreTrainedModel) -> list[str]:
    names = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if {"q_proj", "k_proj"} <= names:
        return ["q_proj", "k_proj"]
    family = model.config.model_type
    if family in FUSED:
        return [FUSED[family]]
    layers = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)})
    raise ConfigError(
        f"{model.config.name_or_path or family}: the query and key projections of the family '{family}' are not known; "
        f"set llm.lora.targets to their names (linear layers here: {', '.join(layers)})"
    )


def query_key_rows(config: PretrainedConfig) -> Tensor:
    """Bool `[3 * dim, 1]`: the rows of a fused projection that make queries and keys."""
    dim, heads = config.hidden_size, config.num_attention_heads
    rows = torch.ones(3 * dim, dtype=torch.bool)
    if config.model_type == "gpt2":  # queries, keys, values
        rows[2 * dim :] = False
    else:  # head by head: its query, its key, its value
        rows.view(heads, 3, dim // heads)[:, 2] = False
    return rows[:, None]


def _keep(rows: Tensor):
    return lambda gradient: gradient * rows.to(gradient.device)
