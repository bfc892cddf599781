"""LoRA on the projections of any family, peft's own; of queries and keys alone with the rows of values held at zero."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.pytorch_utils import Conv1D

from anyecg.config.checks import Checks
from anyecg.types import ConfigError


@dataclass(frozen=True)
class Projections:
    """Where a family's queries and keys are made: the layers' names; of: what the rows of one fused layer make, for
    each head if by_head, else for all.
    """

    names: tuple[str, ...]
    of: tuple[str, ...] = ()
    by_head: bool = False


SEPARATE = Projections(("q_proj", "k_proj"))  # any family that has layers of these names
VALUE = "v_proj"  # beside them
KINDS = ("qk", "qkv", "linear")  # words for layers that are called otherwise in each family
FUSED = {  # family -> its one layer
    "gpt2": Projections(("c_attn",), ("query", "key", "value")),
    "gpt_neox": Projections(("query_key_value",), ("query", "key", "value"), by_head=True),
    "bloom": Projections(("query_key_value",), ("query", "key", "value"), by_head=True),
}


@dataclass(frozen=True)
class LoRAConfig:
    r: int = 8  # rank
    alpha: int = 16  # scale: the update is multiplied by alpha / r
    dropout: float = 0.05  # on the update's input
    # names of the layers to adapt, or one word: qk (as empty), qkv (MEIT's for most families), linear (all of a layer)
    targets: list[str] = field(default_factory=list)
    float32: bool = True  # keep the adapter in float32 over a bfloat16 LLM (false under DeepSpeed's bf16)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("r", "alpha", least=1)
            check.number("dropout", least=0, below=1)
            if len(self.targets) > 1 and (words := [word for word in self.targets if word in KINDS]):
                check.wrong("targets", f"'{words[0]}' stands alone, or give names of layers")

    @property
    def kind(self) -> str | None:
        """Which of `KINDS`; None where layers are named."""
        return "qk" if not self.targets else self.targets[0] if self.targets[0] in KINDS else None


def add_lora(model: PreTrainedModel, cfg: LoRAConfig) -> PeftModel:
    """The model with LoRA on its query and key projections (paper: r 8, Stage 2 and 3), or others; the rest is frozen.

    Of queries and keys alone, a fused projection gets its whole update, but the rows that make values have no gradient
    and stay 0. What is outside the text's layers (a vision tower) gets none. Raises ConfigError for a family whose
    projections are not known and where the targets are no layers.
    """
    found = projections(model) if cfg.kind == "qk" else None
    targets = targets_of(model, cfg)
    layers = [name for name, module in model.get_decoder().named_modules(prefix="") if name]
    body = next((name for name, module in model.named_modules() if module is model.get_decoder()), "")
    inside = {f"{body}.{name}".strip(".") for name in layers}
    outside = [name for name, _ in model.named_modules() if name.rpartition(".")[2] in targets and name not in inside]
    lora = LoraConfig(
        r=cfg.r,
        lora_alpha=cfg.alpha,
        lora_dropout=cfg.dropout,
        target_modules=targets,
        exclude_modules=outside or None,
        fan_in_fan_out=any(
            isinstance(module, Conv1D) for name, module in model.named_modules() if name.rpartition(".")[2] in targets
        ),  # transposed matrices
        task_type="CAUSAL_LM",
    )
    try:
        adapted = get_peft_model(model, lora, autocast_adapter_dtype=cfg.float32)
    except ValueError as error:
        raise ConfigError(f"llm.lora.targets: {', '.join(targets)}: {error}") from error
    if found is not None and found.of:
        rows = query_key_rows(model.config, found)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.register_hook(_keep(rows))
    return adapted


def targets_of(model: PreTrainedModel, cfg: LoRAConfig) -> list[str]:
    """Names of the layers that get LoRA. ConfigError for a family whose projections are not known."""
    if cfg.kind is None:
        return list(cfg.targets)
    if cfg.kind == "linear":
        layers = [module for module in model.get_decoder().modules() if isinstance(module, GradientCheckpointingLayer)]
        parts = [named for layer in layers for named in layer.named_modules()]
        return sorted({name.rpartition(".")[2] for name, module in parts if isinstance(module, (nn.Linear, Conv1D))})
    found = projections(model)
    return [*found.names, *([VALUE] if cfg.kind == "qkv" and not found.of else [])]


def projections(model: PreTrainedModel) -> Projections:
    """Where a model's queries and keys are made. ConfigError for a family that is not known."""
    if {name.rpartition(".")[2] for name, _ in model.named_modules()} >= {*SEPARATE.names}:
        return SEPARATE
    family = model.config.model_type
    if family in FUSED:
        return FUSED[family]
    layers = sorted(
        {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    )
    raise ConfigError(
        f"{model.config.name_or_path or family}: the query and key projections of the family '{family}' are not known; "
        f"set llm.lora.targets to their names (linear layers here: {', '.join(layers)})"
    )


def query_key_rows(config: PretrainedConfig, fused: Projections) -> Tensor:
    """Bool `[len(of) * dim, 1]`: the rows of a fused projection that make queries and keys."""
    dim, groups = config.hidden_size, config.num_attention_heads if fused.by_head else 1
    wanted = torch.tensor([part in ("query", "key") for part in fused.of])
    return wanted[None, :, None].expand(groups, -1, dim // groups).reshape(-1, 1)


def _keep(rows: Tensor):
    return lambda gradient: gradient * rows.to(gradient.device)
