"""What every ECG encoder promises to the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.types import ConfigError, InputSpec


@dataclass(frozen=True)
class SignalConfig:
    """Settings of an encoder that takes ten seconds of twelve leads, at any rate and in any scaling."""

    fs: float = 100.0  # Hz of the signal; the store is built at it
    # of a window's signal: lead, lead_minmax, lead_zscore (each lead by itself); gain, minmax, zscore (all leads
    # alike); millivolt
    scaling: str = "lead"

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.check(check)

    def check(self, check: Checks) -> None:
        """Add what is wrong with these settings."""
        check.number("fs", least=50, most=1000)
        check.registered("scaling", "scaling")

    @property
    def input(self) -> InputSpec:
        """What an encoder of these settings takes."""
        return InputSpec(fs=self.fs, scaling=self.scaling)


class Encoder(nn.Module):
    """Clips to tokens. A subclass has a frozen dataclass `Config` and is built as `Encoder(cfg)`.

    input: what `forward` takes, as `input_spec` says of its settings;
    dim: size of a token; prefix: 1 if a [CLS] token leads, else 0; patches: tokens behind it.
    """

    input: InputSpec
    dim: int
    prefix: int
    patches: int

    def __new__(cls, cfg: Any = None, *args: Any, **kwargs: Any) -> Encoder:
        encoder = super().__new__(cls)
        if cfg is not None:  # none where it is copied or unpickled, which brings its own
            encoder.__dict__["input"] = cls.input_spec(cfg)
        return encoder

    @classmethod
    def input_spec(cls, cfg: Any) -> InputSpec:
        """What an encoder of these settings takes, known before it is built: the data is made accordingly."""
        return cfg.input if isinstance(cfg, SignalConfig) else InputSpec()

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """clips `[N, *input.shape]`, lead_mask bool `[N, 12]` of the canonical leads -> `[N, prefix + patches,
        dim]`; N may be 0.
        """
        raise NotImplementedError

    def patch_samples(self, clips: Tensor) -> Tensor:
        """What each patch is made of, lead by lead: clips `[N, *input.shape]` -> `[N, leads, times, samples]`, patches
        = leads * times.

        With `encode_seen` it is all that masked modelling needs. ConfigError of an encoder whose patches are no
        stretches of one lead.
        """
        raise ConfigError(
            f"encoder: {type(self).__name__} has no patches of single leads that could be hidden (patch_samples, "
            f"encode_seen); "
            "choose another encoder, or leave the masked stage out of the curriculum"
        )

    def encode_seen(self, clips: Tensor, lead_mask: Tensor, seen: Tensor) -> Tensor:
        """The tokens of the patches `seen` alone, int64 `[N, K]` of `patches`, as if there were no others: `[N,
        prefix + K, dim]`.
        """
        raise NotImplementedError

    def pooled(self, tokens: Tensor) -> Tensor:
        """One vector a clip for contrastive pre-training: `[N, prefix + patches, dim]` -> `[N, dim]`."""
        return tokens[:, 0] if self.prefix else tokens.mean(dim=1)
