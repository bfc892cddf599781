"""What a causal LM must be to be used here, checked when it is loaded: anything else would answer wrongly, or fail
after training.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from anyecg.llms.chat import Chat
from anyecg.types import ConfigError, Turn

PROMPT, PADS, CACHED = (
    7,
    3,
    4,
)  # tokens of the prompt of `check_logits`, in front of it, and read before a cache is used
NEAR = {torch.float32: 1e-3}  # of the logits' deviation, how far ours may be from the library's; others: rounding
ROUNDED = 0.1
TURNS = [Turn("user", "a"), Turn("assistant", "b"), Turn("user", "c"), Turn("assistant", "d")]


def check_model(model: PreTrainedModel, name: str) -> None:
    """ConfigError for a model whose logits are not those of one output matrix over a body that takes embeddings
    alone.
    """
    config, body, head = model.config.get_text_config(), model.base_model, model.get_output_embeddings()
    family = f"{name} (family '{config.model_type}')"
    if body is model or head is None:
        raise ConfigError(f"llm: {family} cannot be used: transformers does not name its body and its head apart")
    if getattr(config, "hidden_size_per_layer_input", None):
        raise ConfigError(
            f"llm: {family} cannot be used: each of its layers embeds token ids anew, and an ECG has none"
        )
    known = {id(parameter) for part in (body, head) for parameter in part.parameters()}
    if more := [key for key, parameter in model.named_parameters() if id(parameter) not in known]:
        raise ConfigError(
            f"llm: {family} cannot be used: it computes more than one product between its body and its logits "
            f"({', '.join(more)})"
        )


@torch.no_grad()
def check_logits(llm: Any) -> None:
    """ConfigError unless a `LanguageModel` computes the library's logits by every way that is used here: over
    embeddings with and without a mask, with padding on the left, and token by token with a cache that drops a row.

    Nothing is checked where the weights are not here (the meta device, a share of a sharded model), nor an attention
    that runs on a GPU only.
    """
    table = llm.lm.get_input_embeddings().weight
    if table.is_meta or hasattr(table, "ds_id") or "flash" in str(llm.lm.config._attn_implementation):
        return
    family = f"{llm.config_name} (family '{llm.lm.config.get_text_config().model_type}')"
    ids = torch.randint(len(table), (2, PROMPT), generator=torch.Generator().manual_seed(0)).to(table.device)
    modes = {module: module.training for module in llm.modules()}
    llm.eval()
    try:
        wanted = llm.lm(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits.float()
        for way, logits in _logits(llm, ids).items():
            apart = (logits - wanted[-len(logits) :, -logits.shape[1] :]).square().mean().sqrt()
            if not apart <= NEAR.get(llm.lm.dtype, ROUNDED) * wanted.std():
                raise ConfigError(
                    f"llm: {family} cannot be used: {way}, its logits are not those of transformers "
                    f"({apart:.2g} apart, their deviation is {wanted.std():.2g}); choose another LLM"
                )
    except (AttributeError, TypeError, ValueError, KeyError, IndexError, NotImplementedError, RuntimeError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"llm: {family} cannot be used: it does not answer over embeddings ({what})") from error
    finally:
        for module, mode in modes.items():
            module.training = mode


def _logits(llm: Any, ids: Tensor) -> dict[str, Tensor]:
    """A way of computing -> its logits of the last rows and tokens of ids `[B, T]`, float32."""
    embeds, mask = llm.embed(ids), torch.ones_like(ids)
    found = {"over embeddings": llm.hidden(embeds), "over embeddings with a mask": llm.hidden(embeds, mask.bool())}
    padded = torch.cat([torch.zeros_like(embeds[:, :PADS]), embeds], 1)
    shown = torch.cat([torch.zeros_like(mask[:, :PADS]), mask], 1)
    found["with padding on the left"] = llm.hidden(padded, shown.bool())[:, PADS:]
    out = llm._states(embeds[:, :CACHED], mask[:, :CACHED], past_key_values=None, use_cache=True)
    out.past_key_values.batch_select_indices(torch.arange(1, len(ids), device=ids.device))
    states = []
    for place in range(CACHED, ids.shape[1]):
        given = {"past_key_values": out.past_key_values, "use_cache": True}
        out = llm._states(embeds[1:, place : place + 1], mask[1:, : place + 1], **given)
        states.append(out.last_hidden_state)
    found["with a cache"] = torch.cat(states, 1)
    return {way: llm.head(hidden.flatten(0, 1)).float().unflatten(0, hidden.shape[:2]) for way, hidden in found.items()}


def check_tokenizer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """ConfigError where words have tokens that the embedding has no row for; special tokens are the template's."""
    rows = model.get_input_embeddings().num_embeddings
    special = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    beyond = sorted((id, token) for token, id in tokenizer.get_vocab().items() if id >= rows and id not in special)
    if beyond:
        raise ConfigError(
            f"llm: the tokenizer of {name} has {len(beyond):,} tokens that its embedding of {rows:,} rows has no row "
            f"for, such as {beyond[0][1]!r} ({beyond[0][0]}); give the folder of the model that it belongs to"
        )


def check_template(model: PreTrainedModel, chat: Chat, name: str) -> None:
    """ConfigError where a conversation has tokens that the embedding has no row for."""
    rows = model.get_input_embeddings().num_embeddings
    beyond = sorted({id for segment in chat.segments(TURNS) for id in segment.ids if id >= rows})
    if beyond:
        tokens = ", ".join(f"{chat.tokenizer.convert_ids_to_tokens(id)!r} ({id})" for id in beyond)
        raise ConfigError(
            f"llm: the chat template of {name} uses tokens that its embedding of {rows:,} rows has no row for: "
            f"{tokens}; "
            "set llm.chat: plain, or give the folder of the model that the tokenizer belongs to"
        )


def filler(model: PreTrainedModel, ids: list[int | None]) -> int:
    """The first of these token ids that has an embedding: what a row is fed behind its end. ids: the pad token, then
    those that end an answer.
    """
    rows = model.get_input_embeddings().num_embeddings
    return next((id for id in ids if id is not None and id < rows), 0)
