"""Any vision transformer of timm over the same ECG patches: its blocks and norm, our embedding."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

import timm
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.encoders.patches import PatchConfig, PatchEmbedding, check_patches
from anyecg.types import ConfigError


@dataclass(frozen=True)
class TimmViTConfig(PatchConfig):
    model: str = "vit_tiny_patch16_224"  # a VisionTransformer of timm.list_models("vit_*")
    pretrained: bool = False  # start the blocks from timm's published weights (needs the hub)
    dropout: float = 0.1  # after the embedding, the attention and the MLP

    def check(self, check: Checks) -> None:
        super().check(check)
        check_patches(check, self)
        check.number("dropout", least=0, below=1)
        if ":" not in self.model and not timm.is_model(self.model):
            close = get_close_matches(self.model, timm.list_models("*vit*"), n=1)
            check.wrong("model", f"timm has no '{self.model}'{f'; did you mean {close[0]!r}?' if close else ''}")


class TimmViT(Encoder):
    """Any timm vision transformer over the same patches as `vit`: its blocks, our patch, lead and time embeddings."""

    Config = TimmViTConfig

    def __init__(self, cfg: TimmViTConfig) -> None:
        super().__init__()
        try:
            vit = timm.create_model(cfg.model, pretrained=cfg.pretrained, num_classes=0, proj_drop_rate=cfg.dropout)
        except (RuntimeError, TypeError, OSError) as error:
            raise ConfigError(f"encoder.model: timm cannot make '{cfg.model}': {error}") from error
        if not isinstance(vit, VisionTransformer):
            raise ConfigError(f"encoder.model: '{cfg.model}' is a {type(vit).__name__}; a VisionTransformer is needed")
        self.embed = PatchEmbedding(vit.embed_dim, self.input, cfg.patch_samples, cfg.lead_embedding, cfg.dropout)
        self.blocks = vit.blocks
        self.norm = nn.Sequential(vit.norm, vit.fc_norm)  # a model has one of the two, the other is the identity
        self.dim, self.prefix, self.patches = vit.embed_dim, 1, self.embed.patches

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        return self.blocks(self.embed(clips))

    def patch_samples(self, clips: Tensor) -> Tensor:
        return self.embed.samples(clips)

    def encode_seen(self, clips: Tensor, lead_mask: Tensor, seen: Tensor) -> Tensor:
        return self.blocks(self.embed.seen(clips, seen))

    def pooled(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens[:, 0])
