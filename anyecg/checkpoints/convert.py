"""The tensors of a checkpoint that holds other things too.

Files of training loops hold configurations, arguments and optimizers beside the weights, which torch.load refuses to
read as tensors alone. Here whatever is no tensor is passed over: nothing that a file names is imported or run.
"""

from __future__ import annotations

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from anyecg.files import atomic_write
from anyecg.types import CheckpointError

BUILDERS = {  # all that is looked up by name: what puts tensors together
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


class Passed:
    """Stands for whatever is no tensor: it takes all that is done to it and keeps nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Passed:
        return super().__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Passed:
        return Passed()

    def __setstate__(self, state: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...

    def add(self, value: Any) -> None: ...

    def __hash__(self) -> int:
        return id(self)


class TensorsOnly(pickle.Unpickler):
    """Reads a pickle with `Passed` in the place of every name but those of tensors."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return getattr(sys.modules[module], name, Passed)
        if module == "torch" and isinstance(found := getattr(torch, name, None), torch.dtype):
            return found
        return BUILDERS.get((module, name), Passed)


READER = types.ModuleType("tensors_only")
vars(READER).update(Unpickler=TensorsOnly, load=lambda file, **kwargs: TensorsOnly(file, **kwargs).load())


def convert(source: Path, target: Path) -> dict[str, Tensor]:
    """Write the tensors of a file to a .safetensors, named with dots by where they lay; an optimizer's are left out.

    Of a file with its weights under one key ("state_dict", "model") the names are those under it. CheckpointError where
    the file cannot be read or has no tensors.
    """
    try:
        found = torch.load(source, map_location="cpu", weights_only=False, pickle_module=READER)
    except Exception as error:  # whatever a file that is no checkpoint makes of its reading
        raise CheckpointError(f"{source}: is no checkpoint of torch ({type(error).__name__}: {error})") from error
    tensors = {name: tensor.detach().contiguous() for name, tensor in _named(found)}
    if not tensors:
        raise CheckpointError(f"{source}: holds no tensors by name")
    heads = {name.partition(".")[0] for name in tensors}
    if len(heads) == 1 and isinstance(found, Mapping) and isinstance(found.get(*heads), Mapping):
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    with atomic_write(target) as part:
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, part, metadata={"format": "pt"})
    return tensors


def _named(found: Any, ahead: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(found, Mapping):
        for key, value in found.items():
            if isinstance(key, str) and not (not ahead and "optimizer" in key):
                yield from _named(value, f"{ahead}{key}." if isinstance(value, Mapping) else f"{ahead}{key}")
    elif isinstance(found, Tensor):
        yield ahead, found
