"""The plain implementation: what the fast path is compared with, in results by the tests and in speed by the
benchmarks.

A batch of whatever came together, padded to its longest; ECGs encoded one clip at a time; attention written out, in the
encoder and in the LLM; every logit computed; decoding without a cache, each new token from the whole sequence again.
Parameters, optimizer, precision and what is frozen are the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn import functional as F

from anyecg.model import ECGLanguageModel
from anyecg.types import END_ID, IGNORED_LABEL, START_ID, ECGBatch


@contextmanager
def plain_attention(model: ECGLanguageModel) -> Iterator[None]:
    """Attention written out for as long as the context lasts: softmax of all products, in the encoder and in the
    LLM.
    """
    fused, before = F.scaled_dot_product_attention, model.llm.lm.config._attn_implementation
    F.scaled_dot_product_attention = _written_out
    model.llm.lm.set_attn_implementation("eager")
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused
        model.llm.lm.set_attn_implementation(before)


def _written_out(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    return torch.softmax(scores, -1) @ v


def plain_embed(model: ECGLanguageModel, batch: ECGBatch) -> Tensor:
    """Input embeddings `[B, T, d_llm]`, record by record and clip by clip."""
    embeds = model.llm.embed(batch.input_ids.clamp(min=0))
    embeds = torch.where((batch.input_ids == START_ID)[..., None], model.fusion.markers[0], embeds)
    embeds = torch.where((batch.input_ids == END_ID)[..., None], model.fusion.markers[1], embeds)
    tokens = []
    for record in batch.owner.unique().tolist():
        clips = [n for n, owner in enumerate(batch.owner.tolist()) if owner == record]
        parts = [model.connector(model.encoder(batch.clips[n : n + 1], batch.lead_mask[n : n + 1]))[0] for n in clips]
        prefix = model.connector.tokens(model.encoder.prefix, model.encoder.patches)[0]
        tokens += [torch.stack([part[:prefix] for part in parts]).mean(0), *(part[prefix:] for part in parts)]
    embeds = embeds.clone()
    if tokens:
        embeds[batch.ecg_mask] = torch.cat(tokens).to(embeds.dtype)
    return embeds


def plain_loss(model: ECGLanguageModel, batch: ECGBatch) -> Tensor:
    """Mean cross-entropy over the answer tokens, from all logits of the batch."""
    mask = batch.attention_mask.long()
    logits = model.llm.lm(inputs_embeds=plain_embed(model, batch), attention_mask=mask, use_cache=False).logits
    return F.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), batch.labels[:, 1:].flatten(), ignore_index=IGNORED_LABEL
    )


@torch.inference_mode()
def plain_answer(model: ECGLanguageModel, batch: ECGBatch, max_new_tokens: int) -> list[str]:
    """Greedy answers to a left-padded batch, each token from the whole sequence and all its logits."""
    lm, embeds, mask = model.llm.lm, plain_embed(model, batch), batch.attention_mask.long()
    stops, pad = torch.tensor(model.llm.stops, device=mask.device), model.llm.tokenizer.pad_token_id
    written, ended = [], torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
    while len(written) < max_new_tokens and not ended.all():
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        logits = lm(inputs_embeds=embeds, attention_mask=mask, position_ids=positions, use_cache=False).logits
        token = logits[:, -1].argmax(-1).masked_fill(ended, pad)
        written.append(token)
        ended |= torch.isin(token, stops)
        embeds = torch.cat([embeds, model.llm.embed(token[:, None])], 1)
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    texts = model.llm.tokenizer.batch_decode(
        torch.stack(written, 1), skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return [text.strip() for text in texts]
