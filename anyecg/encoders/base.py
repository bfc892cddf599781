"""What every ECG encoder promises to the model."""

from __future__ import annotations

from torch import Tensor, nn


class Encoder(nn.Module):
    """Clips to tokens. A subclass has a frozen dataclass `Config` and is built as `Encoder(cfg)`.

    eats: what `forward` takes: "signal" `[N, 12, 1000]`, or "image" `[N, 3, H, W]`.
    dim: size of a token; prefix: 1 if a [CLS] token leads, else 0; patches: tokens behind it.
    """

    eats = "signal"
    dim: int
    prefix: int
    patches: int

    def forward(self, signal: Tensor, lead_mask: Tensor) -> Tensor:
        """signal `[N, 12, 1000]` in [-1, 1] at 100 Hz, lead_mask bool `[N, 12]` -> `[N, prefix + patches, dim]`; N may be 0."""
        raise NotImplementedError

    def pooled(self, tokens: Tensor) -> Tensor:
        """One vector a clip for contrastive pre-training: `[N, prefix + patches, dim]` -> `[N, dim]`."""
        return tokens[:, 0] if self.prefix else tokens.mean(dim=1)
