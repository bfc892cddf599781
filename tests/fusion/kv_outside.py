"""A fusion and its connector as another package would add them: MEIT's keys and values (arXiv 2403.04945), in one file.

Each ECG is one vector, which the LLM's own projections turn into a key and a value a layer: without a position, seen by
every token of its question, never in the text's cache. For a Llama.
"""

import contextlib
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from anyecg.connectors.base import Connector
from anyecg.fusion.base import Fusion
from anyecg.types import Beside


@dataclass(frozen=True)
class Empty:
    pass


class PooledConnector(Connector):
    enters = "kv"
    Config = Empty

    def __init__(self, cfg, dim_in, dim_out):
        super().__init__()
        self.layer = nn.Linear(dim_in, dim_out)

    def tokens(self, prefix, patches):
        return 1, 0

    def forward(self, x):
        return F.normalize(self.layer(x.mean(1, keepdim=True)), dim=-1)


def with_ecg(module, query, key, value, attention_mask, ecg=None, ecg_mask=None, **kwargs):
    """ecg `[B, M, d]`, ecg_mask bool `[B, M]`: one key and value an ECG in front of the text's."""
    if ecg is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    k, v = (
        layer(ecg.to(query.dtype)).unflatten(-1, (-1, module.head_dim)).transpose(1, 2)
        for layer in (module.k_proj, module.v_proj)
    )
    t, past = query.shape[2], key.shape[2] - query.shape[2]
    causal = torch.ones(t, key.shape[2], dtype=torch.bool, device=query.device).tril(past)[None, None]
    text = causal if attention_mask is None else causal & attention_mask
    mask = torch.cat([ecg_mask[:, None, None].expand(-1, -1, t, -1), text.expand(len(query), -1, -1, -1)], -1)
    return sdpa_attention_forward(
        module, query, torch.cat([k, key], 2), torch.cat([v, value], 2), mask, is_causal=False, **kwargs
    )


AttentionInterface.register("ecg_kv", with_ecg)
AttentionMaskInterface.register("ecg_kv", sdpa_mask)


class Shown(Beside):
    def __init__(self, ecg, mask):
        self.ecg, self.mask = ecg, mask

    def keywords(self):
        return {"ecg": self.ecg, "ecg_mask": self.mask}

    def batch_select_indices(self, indices):
        self.ecg, self.mask = self.ecg[indices], self.mask[indices]


class KeyValue(Fusion):
    enters, marked = "kv", False
    Config = Empty

    def __init__(self, cfg, llm, record, clip):
        super().__init__(cfg, llm, record, clip)
        llm.lm.set_attn_implementation("ecg_kv")

    @contextlib.contextmanager
    def beside(self, llm, batch, tokens):
        rows, most = batch.rows, max(map(len, batch.clip_counts))
        if not most:
            yield None
            return
        place = rows * most + torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
        ecg = tokens.new_zeros(len(batch.ids) * most, tokens.shape[1]).index_copy(0, place, tokens)
        mask = torch.zeros(len(ecg), dtype=torch.bool, device=rows.device).index_fill(0, place, True)
        yield Shown(ecg.view(-1, most, ecg.shape[1]), mask.view(-1, most))
