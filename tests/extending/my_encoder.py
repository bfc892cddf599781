"""A signal encoder at 250 Hz that keeps the voltage ratio between leads."""

from dataclasses import dataclass

from torch import Tensor, nn

from anyecg.encoders.base import Encoder
from anyecg.types import InputSpec


class ConvEncoder(Encoder):
    """A convolution over each clip of ten seconds."""

    @dataclass(frozen=True)
    class Config:
        """width: channels of a token."""

        width: int = 32

    @classmethod
    def input_spec(cls, cfg: Config) -> InputSpec:
        return InputSpec(fs=250, scaling="gain", shape=(12, 2500))

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.dim, self.prefix, self.patches = cfg.width, 0, 25  # tokens of 0.4 s, no [CLS]
        self.net = nn.Sequential(nn.Conv1d(12, cfg.width, 25, 25), nn.GELU(), nn.Conv1d(cfg.width, cfg.width, 4, 4))

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, 2500]` -> `[N, 25, width]`."""
        return self.net(clips).transpose(1, 2)
