"""MEIT's fusion: each ECG is a key and a value in every layer, made by the layer's own projections."""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface, Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from anyecg.fusion.base import Fusion
from anyecg.types import Beside, ConfigError, ECGBatch

ATTENTION = "anyecg_kv"  # what transformers knows `attend` as
IN_FRONT = "ecgs_in_front"  # keys before the text's, from GPT-Neo's cache to its mask
Project = Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]


def separate(module: Any, ecg: Tensor) -> tuple[Tensor, Tensor]:
    """`k_proj` and `v_proj`; a norm that the family has on its keys acts on the ECG's too."""
    k, v = (layer(ecg).unflatten(-1, (-1, module.head_dim)) for layer in (module.k_proj, module.v_proj))
    for name in ("k_norm", "k_layernorm"):
        norm = getattr(module, name, None)
        k = k if norm is None else norm(k)
    return k, v


def by_head(module: Any, ecg: Tensor) -> tuple[Tensor, Tensor]:
    """`query_key_value`: query, key and value of each head, one head after the other."""
    size = getattr(module, "head_size", None) or module.head_dim
    _, k, v = module.query_key_value(ecg).unflatten(-1, (-1, 3, size)).unbind(-2)
    return k, v


def thirds(module: Any, ecg: Tensor) -> tuple[Tensor, Tensor]:
    """`c_attn`: all queries, all keys, all values."""
    _, k, v = (part.unflatten(-1, (-1, module.head_dim)) for part in module.c_attn(ecg).chunk(3, -1))
    return k, v


@dataclass(frozen=True)
class Family:
    """project: e `[B, M, d]` to keys and values `[B, M, heads, size]` by an attention module's own layers; attention:
    where that module is in a layer; interface: whether the family asks transformers for its attention function.
    """

    project: Project
    attention: str
    interface: bool = True


FAMILIES = {
    **dict.fromkeys(
        ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma3_text", "phi", "opt"), Family(separate, "self_attn")
    ),
    "gpt2": Family(thirds, "attn"),
    "gpt_neox": Family(by_head, "attention"),
    "bloom": Family(by_head, "self_attention", interface=False),
    "gptj": Family(separate, "attn", interface=False),
    "gpt_neo": Family(separate, "attn.attention", interface=False),
}


@dataclass(frozen=True)
class KVConfig:
    """Nothing to set: the vector is the connector's, the projections are the LLM's."""


class KV(Fusion):
    """A key and a value a layer for each ECG (MEIT's concatenated fusion, arXiv 2403.04945), over the `kv` connector.

    They are made by the layer's own key and value projections, LoRA included, have no position, are seen by every token
    of their question and are not in the text's cache. All ECGs of a question are seen alike: nothing says which is the
    first, so questions that name one of several ("ECG 2") cannot be answered from it.

    Two ways, of equal result. A: an attention function that transformers calls in each layer. B, for families that do
    not ask for one: a layer gets a cache that puts the ECG's keys and values in front and stores nothing of them.
    ConfigError for a family that is not known, and where the states do not change with the ECG.
    """

    Config = KVConfig
    enters, marked = "kv", False

    def __init__(self, cfg: KVConfig, llm: Any, record: int, clip: int) -> None:
        super().__init__(cfg, llm, record, clip)
        config = llm.lm.config.get_text_config()
        family = FAMILIES.get(config.model_type)
        if family is None:
            raise ConfigError(
                f"fusion: kv knows no key and value projections of the family '{config.model_type}' "
                f"({llm.config_name}); "
                f"choose fusion=tokens, or an LLM of {', '.join(sorted(FAMILIES))}"
            )
        if clip or not record:
            raise ConfigError(
                f"fusion: kv takes vectors of a record as a whole, and the connector gives {clip} more for each clip; "
                "choose connector=kv"
            )
        self.record, self.family = record, family
        self._seen: Seen | None = None
        (self.by_interface if family.interface else self.by_cache)(llm)
        self._probe(llm)

    def by_interface(self, llm: Any) -> None:
        """Way A. ConfigError where the LLM's attention is another than SDPA."""
        now = llm.lm.config._attn_implementation
        if now not in ("sdpa", ATTENTION):
            raise ConfigError(f"llm.attention: fusion kv goes with sdpa, not with {now}")
        llm.lm.set_attn_implementation(ATTENTION)

    def by_cache(self, llm: Any) -> None:
        """Way B: hooks on the layers themselves, outside of what gradient checkpointing recomputes."""
        for layer in llm.layers()[0]:
            attention = layer.get_submodule(self.family.attention)
            layer.register_forward_pre_hook(functools.partial(self._before, attention), with_kwargs=True)
            if hasattr(attention, "attention_type"):  # GPT-Neo's mask counts the keys
                attention._attn = functools.partial(_attention_of_text, attention)

    def _before(
        self, attention: nn.Module, layer: nn.Module, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[tuple, dict[str, Any]] | None:
        """A layer's arguments with the ECGs in front of its keys."""
        seen = self._seen
        if seen is None:
            return None
        names = list(inspect.signature(type(layer).forward).parameters)[1:]
        given = dict(zip(names, args, strict=False)) | kwargs
        name = "layer_past" if "layer_past" in names else "past_key_values"
        given[name] = InFront(given.get(name), attention, self.family.project, seen.ecg)
        given["attention_mask"] = _with_ecgs(given.get("attention_mask"), seen, given["hidden_states"])
        if given.get("alibi") is not None:  # BLOOM's bias `[B * heads, 1, T]`: none on an ECG
            given["alibi"] = F.pad(given["alibi"], (seen.ecg.shape[1], 0))
        return (), given

    @contextlib.contextmanager
    def beside(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Iterator[Beside | None]:
        if not len(batch.rows):
            yield None
            return
        seen = self._by_row(batch, tokens)
        self._seen = None if self.family.interface else seen
        try:
            yield seen
        finally:
            self._seen = None

    def _by_row(self, batch: ECGBatch, tokens: Tensor) -> Seen:
        """The vectors of all ECGs of each question, in as many places as the question with the most has."""
        counts, rows = [len(row) for row in batch.clip_counts], batch.rows
        most, width = max(counts), tokens.shape[-1]
        vectors = tokens.view(len(rows), self.record, width)
        if min(counts) == most:
            return Seen(vectors.reshape(len(counts), -1, width), None, self.family.interface)
        place = rows * most + torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
        ecg = vectors.new_zeros(len(counts) * most, *vectors.shape[1:]).index_copy(0, place, vectors)
        there = torch.zeros(len(ecg), dtype=torch.bool, device=rows.device).index_fill(0, place, True)
        visible = there.view(-1, most).repeat_interleave(self.record, 1)
        return Seen(ecg.view(len(counts), -1, width), visible, self.family.interface)

    @torch.no_grad()
    def _probe(self, llm: Any) -> None:
        """ConfigError unless every layer of the LLM hears the ECG: families change, and one that drops what it does not
        know would answer blind, without a word.
        """
        table = llm.lm.get_input_embeddings().weight
        if table.is_meta or hasattr(table, "ds_id"):  # no values, or none on this process
            return
        layers, width = llm.layers()
        generator = torch.Generator().manual_seed(0)
        ecgs = torch.nn.functional.normalize(torch.randn(2, self.record, width, generator=generator), dim=-1)
        ids = torch.arange(1, 4, device=table.device).clamp(max=len(table) - 1)[None]
        called: list[nn.Module] = []
        modes = {module: module.training for module in llm.modules()}
        llm.eval()
        try:
            states = []
            for ecg in (None, *ecgs.to(table.device)):
                seen = ecg if ecg is None else Probed(ecg[None] * width**0.5, None, self.family.interface)
                if seen is not None:
                    seen.called, self._seen = called, None if self.family.interface else seen
                states.append(llm.hidden(llm.embed(ids), beside=seen))
        finally:
            self._seen = None
            for module, mode in modes.items():
                module.training = mode
        same = any(torch.equal(one, other) for one, other in itertools.pairwise(states))
        if same or (self.family.interface and len(called) != 2 * len(layers)):
            raise ConfigError(
                f"fusion: kv does not reach the layers of {llm.config_name} (family "
                f"'{llm.lm.config.get_text_config().model_type}') in this version of transformers; choose fusion=tokens"
            )


class Seen(Beside):
    """The ECGs of a batch as the layers see them.

    ecg: `[B, M, d]`; visible: bool `[B, M]`, None where every row has M; passed: whether they go to the layers as
    keyword arguments.
    """

    def __init__(self, ecg: Tensor, visible: Tensor | None, passed: bool) -> None:
        self.ecg, self.visible, self.passed = ecg, visible, passed

    def keywords(self) -> dict[str, Any]:
        return {"ecg": self.ecg, "ecg_visible": self.visible} if self.passed else {}

    def batch_select_indices(self, indices: Tensor) -> None:
        self.ecg = self.ecg[indices]
        self.visible = None if self.visible is None else self.visible[indices]


class Probed(Seen):
    """What also counts the layers that ask for the ECG."""

    called: list[nn.Module]

    def keywords(self) -> dict[str, Any]:
        return super().keywords() | ({"ecg_called": self.called} if self.passed else {})


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    ecg: Tensor | None = None,
    ecg_visible: Tensor | None = None,
    ecg_called: list[nn.Module] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """SDPA of transformers over the ECGs' keys and values, then the text's (way A); without an ECG, SDPA itself.

    query, key, value `[B, heads, T, size]`, with a cache all of its keys; ecg, ecg_visible as in `Seen`.
    """
    if ecg is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    if ecg_called is not None:
        ecg_called.append(module)
    family = FAMILIES[module.config.model_type]
    k, v = (part.transpose(1, 2).to(key.dtype) for part in family.project(module, ecg.to(query.dtype)))
    key, value, ecgs, t = torch.cat([k, key], 2), torch.cat([v, value], 2), ecg.shape[1], query.shape[2]
    if attention_mask is None and ecg_visible is None and t > 1:
        # A query before the text for each ECG makes the mask a plain triangle, which needs not be written out.
        query = F.pad(query, (0, 0, ecgs, 0))
        states, _ = sdpa_attention_forward(module, query, key, value, None, **kwargs)
        return states[:, ecgs:].contiguous(), None
    if attention_mask is None and ecg_visible is None:
        return sdpa_attention_forward(module, query, key, value, None, **kwargs)
    mask = _with_ecgs(attention_mask, Seen(ecg, ecg_visible, True), query.transpose(1, 2), key.shape[2] - ecgs)
    return sdpa_attention_forward(module, query, key, value, mask, **kwargs)


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


class InFront(Cache):
    """A layer's cache, or none, whose keys and values come with the ECGs' in front; it stores nothing itself."""

    def __init__(self, cache: Cache | None, attention: nn.Module, project: Project, ecg: Tensor) -> None:
        super().__init__(layers=[])
        self.cache, self.attention, self.project, self.ecg = cache, attention, project, ecg

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values `[B, heads, M + T, size]`, the projections computed here: inside the layer."""
        k, v = (part.transpose(1, 2) for part in self.project(self.attention, self.ecg.to(value_states.dtype)))
        if "_attn" in self.attention.__dict__:
            self.attention.__dict__[IN_FRONT] = self.ecg.shape[1]
        if self.cache is not None:
            key_states, value_states = self.cache.update(key_states, value_states, *args, **kwargs)
        return torch.cat([k.to(key_states), key_states], 2), torch.cat([v.to(value_states), value_states], 2)


def _with_ecgs(mask: Tensor | None, seen: Seen, states: Tensor, keys: int | None = None) -> Tensor:
    """The mask of the text `[B or 1, 1, T, K]`, bool or added, behind that of the ECGs: `[B, 1, T, M + K]`. None: a
    triangle over T queries and `keys` keys, K = T where nothing is said.
    """
    batch, t, ecgs = len(states), states.shape[1], seen.ecg.shape[1]
    if mask is None:
        keys = t if keys is None else keys
        mask = torch.ones(t, keys, dtype=torch.bool, device=states.device).tril(keys - t)[None, None]
    visible = torch.ones(batch, ecgs, dtype=torch.bool, device=states.device) if seen.visible is None else seen.visible
    front = visible[:, None, None].expand(-1, -1, mask.shape[2], -1)
    if mask.dtype != torch.bool:
        hidden = torch.zeros_like(front, dtype=mask.dtype)
        front = hidden.masked_fill(~front, torch.finfo(mask.dtype).min)
    return torch.cat([front, mask.expand(batch, -1, -1, -1)], -1)


def _attention_of_text(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """GPT-Neo's attention, whose own mask (a window in local layers) is that of the text, with ECGs in front or not."""
    ecgs, own = module.__dict__.pop(IN_FRONT, 0), type(module)._attn
    if not ecgs:
        return own(module, query, key, value, attention_mask)
    keys, t = key.shape[2], query.shape[2]
    text = module.bias[:, :, keys - ecgs - t : keys - ecgs, : keys - ecgs]
    around = SimpleNamespace(bias=F.pad(text, (ecgs, 0, keys - t, 0), value=True), attn_dropout=module.attn_dropout)
    return own(around, query, key, value, attention_mask)
