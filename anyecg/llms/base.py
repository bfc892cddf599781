"""A causal LM of transformers behind five verbs: embed, hidden, head, generate, and save or load what was tuned."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from anyecg.checks import Checks
from anyecg.llms.chat import TEMPLATES, Chat
from anyecg.llms.lora import LoRAConfig, add_lora
from anyecg.llms.shards import gathered, shape_of
from anyecg.types import CheckpointError, ConfigError, DataError

Named = list[tuple[str, nn.Parameter]]
TUNINGS = ("lora", "full", "none")


@dataclass(frozen=True)
class LLMConfig:
    tuning: str = "lora"  # what may be trained: lora (query and key projections), full, none
    lora: LoRAConfig = field(default_factory=LoRAConfig)
    chat: str = "auto"  # auto: the tokenizer's chat template if it has one; plain: "User: ...", "Assistant: ..."
    gradient_checkpointing: bool = False  # recompute activations in the backward pass (in train mode only)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.checks(check)

    def checks(self, check: Checks) -> None:
        """What an LLM with more settings checks as well."""
        check.among("tuning", TUNINGS)
        check.among("chat", TEMPLATES)


class LanguageModel(nn.Module):
    """A causal LM and its tokenizer. Subclasses say where the two come from and have a frozen dataclass `Config`.

    tokenizer, chat: text to ids; dim: size of an embedding; context: tokens it can attend to; config_name: its name
    in tables. `trained_in_run`: its base weights are made by the run's own `language` stage.
    """

    trained_in_run = False

    def __init__(self, cfg: LLMConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, name: str) -> None:
        super().__init__()
        self.config_name = name
        self.dim = model.get_input_embeddings().embedding_dim
        self._positions = "position_ids" in inspect.signature(model.base_model.forward).parameters
        if tokenizer is not None:
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            self.tokenizer = tokenizer
            self.chat = Chat(tokenizer, cfg.chat)
            self.context = context_of(model.config, tokenizer)
            model.generation_config = self._greedy(model.generation_config)
        if cfg.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        self.tuning = cfg.tuning
        self.model = add_lora(model, cfg.lora) if cfg.tuning == "lora" else model.requires_grad_(cfg.tuning == "full")

    @classmethod
    def outline(cls, cfg: LLMConfig, cache: Path | None = None) -> LanguageModel:
        """This LLM on the meta device, LoRA in its layers: every parameter's shape, no weights and no tokenizer; it computes nothing."""
        config = cls.architecture(cfg, cache)
        with torch.device("meta"):
            return LanguageModel(cfg, AutoModelForCausalLM.from_config(config, dtype=config.dtype or torch.float32), None, config.name_or_path)

    @classmethod
    def architecture(cls, cfg: LLMConfig, cache: Path | None = None) -> PretrainedConfig:
        """The library's config of this LLM, its `dtype` that of the weights, without reading any; for `outline`."""
        raise ConfigError(f"{cls.__name__}: its architecture is not known without its weights; give the class a method `architecture`")

    @property
    def lm(self) -> PreTrainedModel:
        """The library's model, with LoRA in its layers where there is any."""
        return self.model.get_base_model() if self.tuning == "lora" else self.model

    @classmethod
    def reader(cls, cfg: LLMConfig, texts: Callable[[], Iterable[str]], cache: Path) -> tuple[Chat, int]:
        """How this LLM reads a conversation and how many tokens it can attend to, without its weights."""
        raise NotImplementedError

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids `[B, T]` -> embeddings `[B, T, dim]`."""
        return self.lm.get_input_embeddings()(ids)

    def hidden(self, inputs_embeds: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Embeddings `[B, T, dim]`, mask `[B, T]` (padded on either side) -> last hidden states `[B, T, dim]`.

        Without a mask, padding must be on the right: causal attention never looks there, and needs no mask to skip it.
        Raises DataError if T exceeds the context: nothing is cut here.
        """
        self._check_length(inputs_embeds.shape[1])
        placed = {}
        if attention_mask is not None:
            placed["attention_mask"] = attention_mask.long()
            if self._positions:
                placed["position_ids"] = (placed["attention_mask"].cumsum(1) - 1).clamp(min=0)
        return self.lm.base_model(inputs_embeds=inputs_embeds.to(self.lm.dtype), use_cache=False, **placed).last_hidden_state

    def head(self, hidden: Tensor) -> Tensor:
        """Hidden states `[M, dim]` -> logits `[M, V]`, the library's own (scaled or capped where the family does so)."""
        logits, config = self.lm.get_output_embeddings()(hidden), self.lm.config
        logits = logits * (getattr(config, "logit_scale", None) or 1.0)  # Cohere
        logits = logits / (getattr(config, "logits_scaling", None) or 1.0)  # Granite
        cap = getattr(config, "final_logit_softcapping", None)  # Gemma
        return torch.tanh(logits / cap) * cap if cap else logits

    def generate(self, inputs_embeds: Tensor, attention_mask: Tensor, max_new_tokens: int) -> list[str]:
        """Left-padded embeddings `[B, T, dim]` and mask `[B, T]` -> B greedy answers, without special tokens.

        The module must be in eval mode. Raises DataError if T + max_new_tokens exceeds the context.
        """
        self._check_length(inputs_embeds.shape[1] + max_new_tokens)
        ids = self.lm.generate(
            inputs_embeds=inputs_embeds.to(self.lm.dtype), attention_mask=attention_mask.long(), max_new_tokens=max_new_tokens
        )
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)]

    def weights(self) -> Named:
        """The base parameters, with their names here."""
        return [(name, parameter) for name, parameter in self.named_parameters() if "lora_" not in name]

    def tuned(self) -> Named:
        """The parameters that `tuning` lets a stage train, with their names here; no others require a gradient."""
        if self.tuning == "lora":
            return [(name, parameter) for name, parameter in self.named_parameters() if "lora_" in name]
        return self.weights() if self.tuning == "full" else []

    def save_tuned(self, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
        """lora: a peft folder `adapter/`; full: `llm.safetensors`; none: nothing. state: the tensors by name here, if they are elsewhere."""
        state = self.state_dict() if state is None else state
        if self.tuning == "lora":
            own = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
            self.model.save_pretrained(folder / "adapter", save_embedding_layers=False, state_dict=own)
        elif self.tuning == "full":
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: state[name].detach().contiguous() for name, _ in self.tuned()}, folder / "llm.safetensors")

    def load_tuned(self, folder: Path) -> None:
        """What `save_tuned` wrote, copied into place: what could be trained still can. CheckpointError if it does not fit."""
        if self.tuning == "lora":
            path = folder / "adapter" / "adapter_model.safetensors"
            own = {_peft_name(name): parameter for name, parameter in self.tuned()}
        elif self.tuning == "full":
            path, own = folder / "llm.safetensors", dict(self.tuned())
        else:
            return
        try:
            saved = load_file(path)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error
        _copy(path, saved, own)

    def save_weights(self, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
        """The base weights, without LoRA, and the tokenizer, as a folder that `llm=hf llm.path=...` loads too; state as in `save_tuned`."""
        state, prefix = self.state_dict() if state is None else state, "model.base_model.model." if self.tuning == "lora" else "model."
        own = {name.removeprefix(prefix).replace(".base_layer.", "."): tensor for name, tensor in state.items() if "lora_" not in name}
        self.lm.save_pretrained(folder, state_dict=own)
        self.tokenizer.save_pretrained(folder)

    def load_weights(self, folder: Path) -> None:
        """The base weights that `save_weights` wrote. CheckpointError if the weights or the tokenizer are of another model."""
        own = {name.replace(".base_layer.", "."): p for name, p in self.lm.named_parameters() if "lora_" not in name}
        try:
            saved = AutoModelForCausalLM.from_pretrained(folder, dtype=self.lm.dtype)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: cannot be read: {error}") from error
        _copy(folder, dict(saved.named_parameters()), own)
        if AutoTokenizer.from_pretrained(folder).get_vocab() != self.tokenizer.get_vocab():
            raise CheckpointError(f"{folder}: its tokenizer is not this model's; the weights were trained on other texts")

    def _check_length(self, tokens: int) -> None:
        if tokens > self.context:
            raise DataError(f"{tokens} tokens do not fit into the {self.context} of {self.config_name}; use shorter or fewer ECGs")

    def _greedy(self, given: GenerationConfig) -> GenerationConfig:
        stops = given.eos_token_id if isinstance(given.eos_token_id, list) else [given.eos_token_id]
        stops = {*stops, self.tokenizer.eos_token_id, *self.chat.stop} - {None}
        return GenerationConfig(do_sample=False, eos_token_id=sorted(stops), pad_token_id=self.tokenizer.pad_token_id)


def context_of(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens a model can attend to."""
    return getattr(config, "max_position_embeddings", None) or min(tokenizer.model_max_length, 2048)


def _peft_name(name: str) -> str:
    return name.removeprefix("model.").replace(".default.", ".")


def _copy(path: Path, saved: Mapping[str, Tensor], own: Mapping[str, nn.Parameter]) -> None:
    """Saved tensors into the parameters of the same names, all or none."""
    if different := sorted(saved.keys() ^ own.keys()):
        raise CheckpointError(f"{path}: not of this model: {len(different)} names differ, the first is {different[0]}")
    for name, parameter in own.items():
        if saved[name].shape != shape_of(parameter):
            raise CheckpointError(f"{path}: {name} is {list(saved[name].shape)}, this model's {list(shape_of(parameter))}")
    with torch.no_grad():
        for name, parameter in own.items():
            with gathered([parameter], write=True):
                parameter.copy_(saved[name])
