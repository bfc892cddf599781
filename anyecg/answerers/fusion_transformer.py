"""The network of the question classifier: ECG tokens and a question's words in one transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ECGS, WORDS = 2, 64  # of a question, at most


class FusionTransformer(nn.Module):
    """[CLS], tokens of one or two ECGs and the question's words -> logits of the answers (Oh et al. 2023)."""

    def __init__(self, dim: int, words: int, answers: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.zeros(width))
        self.ecg, self.which = nn.Linear(dim, width), nn.Parameter(0.02 * torch.randn(ECGS, 1, width))
        self.norm = nn.LayerNorm(dim)
        self.words = nn.Embedding(words + 2, width, padding_idx=0)  # 0: padding, 1: a word never learnt
        self.place = nn.Parameter(0.02 * torch.randn(WORDS, width))
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.1, "gelu", batch_first=True, norm_first=True)
        self.mix = nn.TransformerEncoder(layer, layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.out = nn.Linear(width, answers)

    def forward(self, ecgs: Tensor, words: Tensor) -> Tensor:
        """ecgs `[N, 2, P, dim]`, NaN where there is no second; words int64 `[N, W]` -> `[N, answers]`."""
        n, _, tokens, _ = ecgs.shape
        absent = ecgs[:, :, 0, 0].isnan().repeat_interleave(tokens, dim=1)
        shown = self.ecg(self.norm(ecgs.nan_to_num())) + self.which
        text = self.words(words) + self.place[: words.shape[1]]
        x = torch.cat([self.cls.expand(n, 1, -1), shown.flatten(1, 2), text], dim=1)
        hidden = torch.cat([torch.zeros(n, 1, dtype=torch.bool, device=x.device), absent, words == 0], dim=1)
        return self.out(self.mix(x, src_key_padding_mask=hidden)[:, 0])
