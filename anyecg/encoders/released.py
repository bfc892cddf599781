"""Encoders whose weights others have published: a file is read as tensors alone, and every tensor of it is used or
named as left out.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.types import CheckpointError

# numbers of numpy, which training loops leave beside the weights (the best score): they construct a number, and no more
NUMPY: Any = np
NUMBERS = [np.dtype, NUMPY._core.multiarray.scalar, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?"))]


@dataclass(frozen=True)
class ReleasedConfig:
    """Settings of an encoder with published weights."""

    weights: str | None = None  # the release's file (.pth, .pt, .safetensors); null: random weights

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.check(check)

    def check(self, check: Checks) -> None:
        """Add what is wrong with these settings."""
        if self.weights is not None and not Path(self.weights).expanduser().is_file():
            check.wrong("weights", f"there is no file {self.weights}; download the release's weights, or write null")


@dataclass(frozen=True)
class NonCommercialConfig(ReleasedConfig):
    """Settings of an encoder whose published weights may not be used commercially."""

    non_commercial: bool = False  # true: you use the published weights under CC BY-NC 4.0, for no commercial purpose

    def check(self, check: Checks) -> None:
        super().check(check)
        if self.weights is not None and not self.non_commercial:
            check.wrong(
                "non_commercial",
                "these weights are published under CC BY-NC 4.0, for no commercial use; write true if yours is none",
            )


@dataclass(frozen=True)
class Layout:
    """How the files of a release name the tensors of an encoder.

    name: of the release, for messages; inside: the keys under which a file holds the names, one inside the other, each
    passed over where it is not there; names: (regex, ours) of whole names, the first that fits; dropped: regexes of
    whole names that are no part of the encoder.
    """

    name: str
    inside: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()

    def ours(self, name: str) -> str | None:
        """Our name of a tensor; None where it is dropped, the name itself where nothing fits."""
        if any(re.fullmatch(pattern, name) for pattern in self.dropped):
            return None
        for pattern, ours in self.names:
            if re.fullmatch(pattern, name):
                return re.sub(pattern, ours, name, count=1)
        return name


def fill(encoder: nn.Module, weights: str | None, layout: Layout) -> None:
    """Give the encoder a release's weights, in float32; nothing where there is no file.

    CheckpointError where the file is no file of tensors, or names what is missing, has no place or another shape.
    """
    if weights is None:
        return
    path = Path(weights).expanduser()
    own, taken = encoder.state_dict(), {}
    for name, tensor in tensors(path, layout.inside).items():
        ours = layout.ours(name.removeprefix("module."))
        if ours in taken:
            raise CheckpointError(f"{path}: holds '{name}' twice; give one release's file as it was published")
        if ours is not None:
            taken[ours] = tensor.float() if tensor.is_floating_point() else tensor
    for what, names in (
        ("is missing", own.keys() - taken.keys()),
        ("has no place", taken.keys() - own.keys()),
        ("has another shape", {name for name in taken.keys() & own.keys() if taken[name].shape != own[name].shape}),
    ):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise CheckpointError(f"{path}: not the encoder of {layout.name}: '{min(names)}'{more} {what}")
    encoder.load_state_dict(taken)


def tensors(path: Path, inside: tuple[str, ...] = ()) -> Mapping[str, Tensor]:
    """Name -> tensor of a file, under the keys `inside` of it where it has them; CheckpointError where it cannot be
    read as tensors alone.
    """
    try:
        if path.suffix == ".safetensors":
            return _below(load_file(path), inside)
        with torch.serialization.safe_globals(NUMBERS):
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, SafetensorError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as tensors alone ({(str(error) or type(error).__name__).splitlines()[0]}); "
            f"python -m anyecg convert {path} {path.with_suffix('.safetensors')} takes the tensors out of a file that "
            "holds other things too, and runs none of them"
        ) from error
    for key in inside:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise CheckpointError(f"{path}: holds no tensors by name; give the encoder's state_dict")
    return found


def _below(found: dict[str, Tensor], inside: tuple[str, ...]) -> dict[str, Tensor]:
    """Of tensors named with dots by where they lay, those under the keys `inside`, where there are such."""
    for key in inside:
        under = {name.removeprefix(f"{key}."): value for name, value in found.items() if name.startswith(f"{key}.")}
        found = under or found
    return found


def nothing(encoder: Encoder, clips: Tensor) -> Tensor:
    """The tokens of no clips, `[0, prefix + patches, dim]`, with every parameter in the graph."""
    zero = clips.sum() + torch.stack([p.sum() for p in encoder.parameters()]).sum()
    return clips.new_zeros(0, encoder.prefix + encoder.patches, encoder.dim) + zero
