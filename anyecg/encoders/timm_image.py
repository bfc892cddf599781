"""Any vision model of timm over pages, whole or in AnyRes's tiles; with CLIP's and SigLIP 2's settings."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from anyecg.config.checks import Checks
from anyecg.encoders.image import ImageConfig, ImageEncoder
from anyecg.types import CheckpointError, ConfigError, InputSpec

HUB = "hf-hub:"


@dataclass(frozen=True)
class TimmImageConfig(ImageConfig):
    model: str = "vit_small_patch16_224"  # of timm.list_models(), one with `forward_intermediates`
    layer: int = -1  # whose output the tokens are; -1: the last, after the final norm
    tiled: bool = False  # a page in an overview and square tiles (AnyRes), else squeezed to its pixels as a whole
    height: int | None = None  # pixels of a clip (None: what the model is made for)
    width: int | None = None  # pixels of a clip, as height
    # sizes that are others than the model's: embed_dim, depth, num_heads, patch_size
    sizes: dict[str, int] = field(default_factory=dict)
    pretrained: bool = False  # start from timm's published weights (needs the hub)
    weights: str | None = None  # instead: a file of a timm model's weights, or "hf-hub:OWNER/NAME"
    dropout: float = 0.0  # of the model's projections, where it has any

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("height", "width", least=16)
        check.number("dropout", least=0, below=1)
        if ":" not in self.model and not timm.is_model(self.model):
            close = get_close_matches(self.model, timm.list_models(), n=1)
            check.wrong("model", f"timm has no '{self.model}'{f'; did you mean {close[0]!r}?' if close else ''}")
        if self.layer > -1:
            check.wrong("layer", f"counted from the last, which is -1; not {self.layer}")
        if self.pretrained and self.weights:
            check.wrong("weights", "names other weights than pretrained; set one of them")
        if self.weights and not self.weights.startswith(HUB) and not Path(self.weights).is_file():
            check.wrong("weights", f"there is no file {self.weights} (or write {HUB}OWNER/NAME)")
        if self.tiled and self.height != self.width:
            check.wrong("tiled", f"tiles are square, not {self.height} x {self.width}")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a clip in pixels."""
        usual = timm.get_pretrained_cfg(self.model, allow_unregistered=True)
        across, down = usual.input_size[1:] if usual else (224, 224)
        return self.height or across, self.width or down


@dataclass(frozen=True)
class CLIPConfig(TimmImageConfig):
    """PULSE's: CLIP ViT-L/14 at 336 pixels, the states before the last layer, AnyRes."""

    model: str = "vit_large_patch14_clip_quickgelu_336.openai"
    layer: int = -2
    tiled: bool = True


@dataclass(frozen=True)
class SigLIP2Config(TimmImageConfig):
    """SigLIP 2 base at 512 pixels, the last layer, in tiles."""

    model: str = "vit_base_patch16_siglip_512.v2_webli"
    tiled: bool = True


class TimmImage(ImageEncoder):
    """Any vision model of timm, by name, over pages of ECG paper."""

    Config = TimmImageConfig

    @classmethod
    def input_spec(cls, cfg: TimmImageConfig) -> InputSpec:
        return cfg.spec(*cfg.size, kind="tiles" if cfg.tiled else "page")

    def __init__(self, cfg: TimmImageConfig) -> None:
        there = torch.get_default_device().type != "meta"  # an outline has sizes and no weights
        hub = cfg.weights if there and cfg.weights and cfg.weights.startswith(HUB) else None
        own: dict[str, Any] = {"img_size": cfg.size} if cfg.height or cfg.width else {}
        own |= cfg.sizes
        own |= {"proj_drop_rate": cfg.dropout} if cfg.dropout else {}
        model: Any
        try:
            pretrained = there and (cfg.pretrained or bool(hub))
            model = timm.create_model(hub or cfg.model, pretrained=pretrained, num_classes=0, **own)
            if cfg.weights and there and not hub:
                timm.models.load_checkpoint(model, cfg.weights, strict=False)
        except (SafetensorError, EOFError) as error:
            raise CheckpointError(f"encoder.weights: {cfg.weights} holds no weights ({error})") from error
        except (RuntimeError, TypeError, OSError) as error:
            raise ConfigError(f"encoder.model: timm cannot make '{hub or cfg.model}': {error}") from error
        if not hasattr(model, "forward_intermediates"):
            raise ConfigError(f"encoder.model: '{cfg.model}' gives no features by layer; choose another of timm's")
        usual = model.pretrained_cfg
        super().__init__(tuple(usual.get("mean") or self.MEAN), tuple(usual.get("std") or self.STD))
        self.layer, self.final = cfg.layer, cfg.layer == -1
        with contextlib.suppress(AttributeError):
            # what comes after the layer would be dead weight
            model.prune_intermediate_layers([cfg.layer], prune_norm=not self.final, prune_head=True)
        self.model: Any = model
        # after pruning, the layer is the last that there is
        self.layer = -1
        with torch.no_grad():
            self.patches, self.dim = self._shape(cfg)
        self.prefix = 0

    def _shape(self, cfg: TimmImageConfig) -> tuple[int, int]:
        """Tokens of a clip and their size: of a transformer over patches by its grid, else from one pass."""
        if isinstance(self.model, VisionTransformer) and self.model.patch_embed.img_size == cfg.size:
            return self.model.patch_embed.num_patches, self.model.embed_dim
        was = self.model.training
        probe = self.model.eval()
        given = torch.zeros(1, 3, *cfg.size, device=next(probe.parameters()).device)
        try:
            tokens = self._tokens(given)
        except (AssertionError, RuntimeError) as error:
            raise ConfigError(
                f"encoder: '{cfg.model}' does not take pictures of {cfg.size[0]} x {cfg.size[1]} pixels ({error})"
            ) from error
        self.model.train(was)
        return tokens.shape[1], tokens.shape[2]

    def _tokens(self, pictures: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, patches, dim]`; class and register tokens are left out."""
        found = self.model.forward_intermediates(
            pictures, indices=[self.layer], norm=self.final, output_fmt="NCHW", intermediates_only=True
        )[-1]
        return found.flatten(2).transpose(1, 2)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        if not len(clips):
            return clips.new_zeros(0, self.patches, self.dim, dtype=self.mean.dtype) + 0 * self.colours(clips).sum()
        return self._tokens(self.colours(clips))


class CLIP(TimmImage):
    """CLIP ViT-L/14 at 336 pixels over a page's overview and tiles, the last layer but one (PULSE, LLaVA-1.6)."""

    Config = CLIPConfig


class SigLIP2(TimmImage):
    """SigLIP 2 base at 512 pixels over a page's overview and tiles."""

    Config = SigLIP2Config
