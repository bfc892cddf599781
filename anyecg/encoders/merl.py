"""MERL's ECG encoder (ResNet18), with its released weights where a file of them is given."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.types import CheckpointError, InputSpec

LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")  # aVF first, as MIMIC-IV-ECG has it
WIDTHS = (64, 128, 256, 512)  # channels of the four layers
# beginnings of names in res18_best_ckpt.pth that are no part of the encoder: heads, text projection, the text encoder
DROPPED = ("downconv.", "att_pool_head.", "linear1.", "linear2.", "proj_t.", "lm_model.", "linear.")
TRUNK = ("ecg_encoder.", "")  # how names of the trunk begin: in the file of everything, in that of the encoder


class Merl(Encoder):
    """MERL's ResNet18 over 10 s at 500 Hz, to [0, 1] over all leads (Liu et al. 2024, arXiv 2403.06659): 313 tokens.

    3,848,832 parameters. Its heads and text encoder are left out: a probe or a connector takes the trunk's tokens.
    """

    @dataclass(frozen=True)
    class Config:
        """weights: res18_best_encoder.pth or res18_best_ckpt.pth of MERL's release (null: random)."""

        weights: str | None = None

        def __post_init__(self) -> None:
            with Checks(self) as check:
                if self.weights is not None and not Path(self.weights).expanduser().is_file():
                    check.wrong("weights", f"there is no file {self.weights}; download MERL's weights, or write null")

    @classmethod
    def input_spec(cls, cfg: Config) -> InputSpec:
        return InputSpec(fs=500, scaling="minmax", leads=LEADS)

    def __init__(self, cfg: Config) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(len(LEADS), WIDTHS[0], 7, 2, 3, bias=False), nn.BatchNorm1d(WIDTHS[0])
        into = WIDTHS[0]
        for number, width in enumerate(WIDTHS, start=1):
            stride = 1 if number == 1 else 2
            setattr(self, f"layer{number}", nn.Sequential(Block(into, width, stride), Block(width, width, 1)))
            into = width
        self.dim, self.prefix, self.patches = WIDTHS[-1], 0, 313
        if cfg.weights is not None:
            load(self, Path(cfg.weights).expanduser())

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, 5000]` -> `[N, 313, 512]`."""
        x = self.bn1(self.conv1(clips)).relu()
        for number in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{number}")(x)
        return x.transpose(1, 2)


class Block(nn.Module):
    """Two convolutions of three samples and a shortcut: `[N, into, T]` -> `[N, width, T / stride]`."""

    def __init__(self, into: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(into, width, 3, stride, 1, bias=False), nn.BatchNorm1d(width)
        self.conv2, self.bn2 = nn.Conv1d(width, width, 3, 1, 1, bias=False), nn.BatchNorm1d(width)
        self.shortcut = nn.Sequential()
        if stride > 1 or into != width:
            self.shortcut = nn.Sequential(nn.Conv1d(into, width, 1, stride, bias=False), nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(inner)) + self.shortcut(x)).relu()


def load(encoder: nn.Module, path: Path) -> None:
    """Fill the trunk from a release's file, by tensors alone; CheckpointError names what is missing, strange or of
    another shape.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as tensors alone ({str(error).splitlines()[0]}); if you trust the file, save its "
            f"state_dict with torch.save once and give that"
        ) from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds no tensors by name; give MERL's state_dict")
    names = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    prefix = next(start for start in TRUNK if not start or any(name.startswith(start) for name in names))
    own, taken = encoder.state_dict(), {}
    for name, tensor in names.items():
        if prefix and name.startswith(prefix):
            taken[name.removeprefix(prefix)] = tensor
        elif not name.startswith(DROPPED):
            taken[name] = tensor
    taken = {name: tensor for name, tensor in taken.items() if not name.startswith(DROPPED)}
    wrong = sorted(taken.keys() ^ own.keys())
    wrong += [name for name in taken.keys() & own.keys() if taken[name].shape != own[name].shape]
    if wrong:
        raise CheckpointError(f"{path}: no ResNet18 of MERL: {', '.join(wrong[:5])} is missing, strange or misshapen")
    encoder.load_state_dict(taken)
