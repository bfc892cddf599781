"""A causal LM of transformers behind five verbs: embed, hidden, head, generate, and save or load what was tuned."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoModelForCausalLM,
    Cache,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import ModelOutput

from anyecg.config.checks import Checks
from anyecg.llms.cache import NoCache, takes_no_cache
from anyecg.llms.chat import TEMPLATES, Chat
from anyecg.llms.decoding import greedy
from anyecg.llms.fit import check_logits, check_model, check_template, check_tokenizer, filler
from anyecg.llms.fused_loss import fused
from anyecg.llms.lora import LoRAConfig, add_lora
from anyecg.llms.packed import ATTENTION, Rows, packs
from anyecg.llms.recompute import SELECTIVE, recompute_layers
from anyecg.llms.shards import gathered, shape_of
from anyecg.types import Beside, CheckpointError, ConfigError, DataError, Watch

Named = list[tuple[str, nn.Parameter]]
TUNINGS = ("lora", "full", "none")


@dataclass(frozen=True)
class LLMConfig:
    tuning: str = "lora"  # what may be trained: lora (by default of query and key projections), full, none
    lora: LoRAConfig = field(default_factory=LoRAConfig)
    # auto: the tokenizer's chat template if it has one; plain: "User: ...", "Assistant: ..."; tulu: "<|user|>" (MEIT)
    chat: str = "auto"
    # recompute the layers' activations in the backward pass: true all; "selective" all but products and attention
    gradient_checkpointing: bool | str = False

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.checks(check)

    def checks(self, check: Checks) -> None:
        """What an LLM with more settings checks as well."""
        check.among("tuning", TUNINGS)
        check.among("chat", TEMPLATES)
        if self.gradient_checkpointing not in (True, False, SELECTIVE):
            check.wrong("gradient_checkpointing", f"true, false or {SELECTIVE}, not {self.gradient_checkpointing!r}")


class LanguageModel(nn.Module):
    """A causal LM and its tokenizer. Subclasses say where the two come from and have a frozen dataclass `Config`.

    tokenizer, chat: text to ids; dim: size of an embedding; context: tokens it can attend to; config_name: its name
    in tables. `trained_in_run`: its base weights are made by the run's own `language` stage. `fused_loss`: whether
    `loss` computes logits and cross-entropy together (`trainer.fused_loss`).
    """

    trained_in_run = False
    fused_loss = False
    temperature = 0.0  # of what `generate` draws; 0: the most likely token
    packs = False  # whether `hidden_of_packed` computes nothing for padding, see `pack`

    def __init__(
        self, cfg: LLMConfig, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None, name: str
    ) -> None:
        super().__init__()
        check_model(model, name)
        self.config_name = name
        self.dim = model.get_input_embeddings().embedding_dim
        parameters = inspect.signature(model.base_model.forward).parameters
        self._positions = "position_ids" in parameters
        self._no_cache = "past_key_values" in parameters and takes_no_cache(model.config)
        if tokenizer is not None:
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token
            check_tokenizer(model, tokenizer, name)
            self.tokenizer = tokenizer
            self.chat = Chat(tokenizer, cfg.chat)
            check_template(model, self.chat, name)
            self.context = context_of(model.config, tokenizer)
            self.stops = stops_of(model.generation_config, tokenizer, self.chat)
            self.pad = filler(model, [tokenizer.pad_token_id, *self.stops])
            model.generation_config = GenerationConfig(do_sample=False, eos_token_id=self.stops, pad_token_id=self.pad)
        if cfg.gradient_checkpointing:
            recompute_layers(model, cfg.gradient_checkpointing == SELECTIVE)
        self.tuning, self.checkpointing = cfg.tuning, bool(cfg.gradient_checkpointing)
        self.model = add_lora(model, cfg.lora) if cfg.tuning == "lora" else model.requires_grad_(cfg.tuning == "full")
        if tokenizer is not None:
            check_logits(self)

    @classmethod
    def outline(cls, cfg: LLMConfig, cache: Path | None = None) -> LanguageModel:
        """This LLM on the meta device, LoRA in its layers: every parameter's shape, no weights and no tokenizer; it
        computes nothing.
        """
        config = cls.architecture(cfg, cache)
        with torch.device("meta"):
            return LanguageModel(
                cfg,
                AutoModelForCausalLM.from_config(config, dtype=config.dtype or torch.float32),
                None,
                config.name_or_path,
            )

    @classmethod
    def architecture(cls, cfg: LLMConfig, cache: Path | None = None) -> PretrainedConfig:
        """The library's config of this LLM, its `dtype` that of the weights, without reading any; for `outline`."""
        raise ConfigError(
            f"{cls.__name__}: its architecture is not known without its weights; give the class a method `architecture`"
        )

    @classmethod
    def lacking(cls, cfg: LLMConfig) -> Iterator[str]:
        """What this machine lacks for it, a message each, before any data is built."""
        yield from ()

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

    def embedding_scale(self) -> Tensor:
        """How large the embeddings of text are, float32 scalar: the standard deviation within an embedding, on
        average over the vocabulary.
        """
        table = self.lm.get_input_embeddings()
        with gathered(table.parameters()), torch.no_grad():
            device = table.weight.device
            # a table of 128,000 tokens would be copied as a whole
            ids = torch.arange(table.num_embeddings, device=device).split(4096)
            return torch.cat([self.embed(part[None])[0].float().std(dim=1) for part in ids]).mean()

    def layers(self) -> tuple[list[nn.Module], int]:
        """The layers of the body in order, and the width of the hidden states between them; ConfigError where they
        cannot be found.
        """
        config = self.lm.config.get_text_config()
        count = config.num_hidden_layers
        lists = [
            module
            for module in self.lm.base_model.modules()
            if isinstance(module, nn.ModuleList) and len(module) == count
        ]
        alike = [
            module
            for module in lists
            if len({type(layer) for layer in module}) == 1 and isinstance(module[0], GradientCheckpointingLayer)
        ]
        if len(alike) != 1:
            raise ConfigError(
                f"{self.config_name}: the {count} layers of the family '{config.model_type}' cannot be found "
                f"({len(alike)} lists look like "
                "them); choose fusion=tokens or another LLM"
            )
        return list(alike[0]), config.hidden_size

    def pack(self) -> None:
        """Let `hidden` take rows without padding, if this architecture allows it (`packs`)."""
        self.packs = self._positions and self._no_cache and packs(self.lm)
        if self.packs:
            self.lm.set_attn_implementation(ATTENTION)

    def head_size(self) -> int:
        """Numbers of a query of one attention head."""
        config = self.lm.config.get_text_config()
        return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

    def hidden(
        self, inputs_embeds: Tensor, attention_mask: Tensor | None = None, beside: Beside | None = None
    ) -> Tensor:
        """Embeddings `[B, T, dim]`, mask `[B, T]` (padded on either side) -> last hidden states `[B, T, dim]`.

        Without a mask, padding must be on the right: causal attention never looks there, and needs no mask to skip it.
        Raises DataError if T exceeds the context: nothing is cut here.
        """
        self._check_length(inputs_embeds.shape[1])
        keywords = beside.keywords() if beside else {}
        if attention_mask is not None:
            return self._states(inputs_embeds, attention_mask.long(), use_cache=False, **keywords).last_hidden_state
        if self._no_cache:
            keywords = {"past_key_values": NoCache(), **keywords}
        return self.lm.base_model(
            inputs_embeds=inputs_embeds.to(self.lm.dtype), use_cache=False, **keywords
        ).last_hidden_state

    def hidden_of_packed(self, inputs_embeds: Tensor, lengths: Sequence[int]) -> Tensor:
        """Embeddings `[1, P, dim]` of rows one after the other, of so many tokens each -> last hidden states
        `[1, P, dim]`, each row's as if it were alone. Where the LLM does not pack, rows are padded in here.
        """
        self._check_length(max(lengths))
        if self.packs:
            rows = Rows(lengths)
            states = self.lm.base_model(
                inputs_embeds=inputs_embeds.to(self.lm.dtype),
                position_ids=rows.positions.to(inputs_embeds.device),
                past_key_values=NoCache(),
                use_cache=False,
                rows=rows,
            ).last_hidden_state
            if rows.layers >= self.lm.config.get_text_config().num_hidden_layers:
                return states
            self.packs = False  # a layer has not attended row by row
        padded = self.hidden(pad_sequence(inputs_embeds[0].split(list(lengths)), batch_first=True))
        return torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])[None]

    def head(self, hidden: Tensor) -> Tensor:
        """Hidden states `[M, dim]` -> logits `[M, V]`, the library's own (scaled or capped where the family does
        so).
        """
        logits, config = self.lm.get_output_embeddings()(hidden), self.lm.config
        logits = logits * (getattr(config, "logit_scale", None) or 1.0)  # Cohere
        logits = logits / (getattr(config, "logits_scaling", None) or 1.0)  # Granite
        cap = getattr(config, "final_logit_softcapping", None)  # Gemma
        return torch.tanh(logits / cap) * cap if cap else logits

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of hidden states `[M, dim]` against token ids `[M]`, summed, in float32."""
        if not self.fused_loss:
            return F.cross_entropy(self.head(hidden).float(), targets, reduction="sum")
        head = self.lm.get_output_embeddings().weight
        return fused(hidden.device)(hidden, head, targets).float()

    def fuse_loss(self, on: bool = True) -> None:
        """Let `loss` compute logits and cross-entropy together, or not. ConfigError where that would be another
        loss, or torch cannot.
        """
        head, config = self.lm.get_output_embeddings(), self.lm.config
        changed = [
            name for name in ("logit_scale", "logits_scaling", "final_logit_softcapping") if getattr(config, name, None)
        ]
        if on and (changed or getattr(head, "bias", None) is not None):
            raise ConfigError(
                f"trainer.fused_loss: {self.config_name} does more to its logits than one product "
                f"({changed[0] if changed else 'a bias'}); set it to false"
            )
        if on:
            fused(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        self.fused_loss = on

    def generate(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor,
        max_new_tokens: int,
        beside: Beside | None = None,
        watch: Watch | None = None,
    ) -> list[str]:
        """Left-padded embeddings `[B, T, dim]` and mask `[B, T]` -> B answers, without special tokens: greedy, or drawn
        within `sampling`; watch: gets the B texts so far after each token, and ends them there where it returns True.

        With a key-value cache; rows that have ended are dropped. The module must be in eval mode. Raises DataError if T
        + max_new_tokens exceeds the context.
        """
        self._check_length(inputs_embeds.shape[1] + max_new_tokens)

        def step(embeds: Tensor, mask: Tensor, cache) -> tuple[Tensor, Cache]:
            out = self._states(
                embeds, mask, past_key_values=cache, use_cache=True, **(beside.keywords() if beside else {})
            )
            logits = self.head(out.last_hidden_state[:, -1]).float()
            if self.temperature:  # the largest of logits with Gumbel's noise is a draw from their softmax
                logits = logits / self.temperature - torch.empty_like(logits).exponential_().log()
            return logits, out.past_key_values

        stops = torch.tensor(self.stops, device=inputs_embeds.device)

        def seen(ids: Tensor) -> bool:
            return watch is not None and watch(self._texts(ids))

        ids = greedy(
            step,
            self.embed,
            inputs_embeds,
            attention_mask.long(),
            max_new_tokens,
            stops,
            self.pad,
            beside,
            seen if watch else None,
        )
        return self._texts(ids)

    def _texts(self, ids: Tensor) -> list[str]:
        """What rows of new tokens int64 `[B, n]` say up to their ends."""
        rows = [
            row[: next((at + 1 for at, id in enumerate(row) if id in self.stops), len(row))] for row in ids.tolist()
        ]
        return [
            text.strip()
            for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        ]

    @contextlib.contextmanager
    def sampling(self, temperature: float) -> Iterator[None]:
        """Within it, `generate` draws its tokens at this temperature, by torch's random state; 0: it takes the most
        likely.
        """
        self.temperature, before = temperature, self.temperature
        try:
            yield
        finally:
            self.temperature = before

    def weights(self) -> Named:
        """The base parameters, with their names here."""
        return [(name, parameter) for name, parameter in self.named_parameters() if "lora_" not in name]

    def tuned(self) -> Named:
        """The parameters that `tuning` lets a stage train, with their names here; no others require a gradient."""
        if self.tuning == "lora":
            return [(name, parameter) for name, parameter in self.named_parameters() if "lora_" in name]
        return self.weights() if self.tuning == "full" else []

    def save_tuned(self, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
        """lora: a peft folder `adapter/`; full: `llm.safetensors`; none: nothing. state: the tensors by name here,
        if they are elsewhere.
        """
        state = self.state_dict() if state is None else state
        if self.tuning == "lora":
            own = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
            self.model.save_pretrained(folder / "adapter", save_embedding_layers=False, state_dict=own)
        elif self.tuning == "full":
            folder.mkdir(parents=True, exist_ok=True)
            save_file({name: state[name].detach().contiguous() for name, _ in self.tuned()}, folder / "llm.safetensors")

    def load_tuned(self, folder: Path) -> None:
        """What `save_tuned` wrote, copied into place: what could be trained still can. CheckpointError if it does
        not fit.
        """
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
        """The base weights, without LoRA, and the tokenizer, as a folder that `llm=hf llm.path=...` loads too; state
        as in `save_tuned`.
        """
        state, prefix = (
            self.state_dict() if state is None else state,
            "model.base_model.model." if self.tuning == "lora" else "model.",
        )
        own = {
            name.removeprefix(prefix).replace(".base_layer.", "."): tensor
            for name, tensor in state.items()
            if "lora_" not in name
        }
        self.lm.save_pretrained(folder, state_dict=own)
        self.tokenizer.save_pretrained(folder)

    def load_weights(self, folder: Path) -> None:
        """The base weights that `save_weights` wrote. CheckpointError if the weights or the tokenizer are of another
        model.
        """
        own = {name.replace(".base_layer.", "."): p for name, p in self.lm.named_parameters() if "lora_" not in name}
        try:
            saved = AutoModelForCausalLM.from_pretrained(folder, dtype=self.lm.dtype)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(f"{folder}: cannot be read: {error}") from error
        _copy(folder, dict(saved.named_parameters()), own)
        if type(self.tokenizer).from_pretrained(folder).get_vocab() != self.tokenizer.get_vocab():
            raise CheckpointError(
                f"{folder}: its tokenizer is not this model's; the weights were trained on other texts"
            )

    def _check_length(self, tokens: int) -> None:
        if tokens > self.context:
            raise DataError(
                f"{tokens} tokens do not fit into the {self.context} of {self.config_name}; use shorter or fewer ECGs"
            )

    def _states(self, inputs_embeds: Tensor, mask: Tensor, **cached) -> ModelOutput:
        """The body's output for embeddings `[B, t, dim]`, the last of the places of mask int64 `[B, T]`."""
        placed = (
            {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)[:, -inputs_embeds.shape[1] :]} if self._positions else {}
        )
        return self.lm.base_model(
            inputs_embeds=inputs_embeds.to(self.lm.dtype), attention_mask=mask, **placed, **cached
        )


def context_of(config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """How many tokens a model can attend to."""
    return getattr(config, "max_position_embeddings", None) or min(tokenizer.model_max_length, 2048)


def stops_of(given: GenerationConfig, tokenizer: PreTrainedTokenizerBase, chat: Chat) -> list[int]:
    """The ids that end an answer: the model's own, the tokenizer's, the chat's."""
    own = given.eos_token_id if isinstance(given.eos_token_id, list) else [given.eos_token_id]
    return sorted({*own, tokenizer.eos_token_id, *chat.stop} - {None})


def _peft_name(name: str) -> str:
    return name.removeprefix("model.").replace(".default.", ".")


def _copy(path: Path, saved: Mapping[str, Tensor], own: Mapping[str, nn.Parameter]) -> None:
    """Saved tensors into the parameters of the same names, all or none."""
    if different := sorted(saved.keys() ^ own.keys()):
        raise CheckpointError(f"{path}: not of this model: {len(different)} names differ, the first is {different[0]}")
    for name, parameter in own.items():
        if saved[name].shape != shape_of(parameter):
            raise CheckpointError(
                f"{path}: {name} is {list(saved[name].shape)}, this model's {list(shape_of(parameter))}"
            )
    with torch.no_grad():
        for name, parameter in own.items():
            with gathered([parameter], write=True):
                parameter.copy_(saved[name])
