"""The published checkpoints of anyECG-chat: `projection.pth`, `ecg_model.pth` and a peft adapter, read through a key
map.

Names and shapes are those of the official code (github.com/CuCl-2/anyECG-chat at 2ebf9b9: `anyecg/ecgvit.py`,
`anyecg/ecg_language_modeling.py`, `train.py`), which says:

- `ecg_model.pth` is the state of its ViT. What reaches the connector is `encode`: the states before the final norm.
`norm`
  and `fc` (no bias, 768 to 512) serve contrastive pre-training only; `norm` is kept, `fc` has no place here and is left
  out.
- `projection.pth` is the state of a Sequential: Linear, GELU, Linear.
- the adapter is what transformers' `save_pretrained` leaves beside them, over a Llama-3-8B-Instruct that stays as it
was.
- the markers around an ECG are Llama-3's <|reserved_special_token_1|> and <|reserved_special_token_2|> (ids 128003,
128004),
  as they are in its embedding table.
- an ECG stands right before the question, each lead stretched from its least to its greatest value to [-1, 1].

That code takes one ECG a question; where it puts several (Stage 3) is not published. The weights themselves
(huggingface.co/cucl2/anyECG-chat) could not be downloaded where this was written: the map was tested on files of that
layout.
"""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from anyecg.encoders.vit import ViT, ViTConfig
from anyecg.session import Reading
from anyecg.types import CheckpointError, InputSpec

ENCODER, CONNECTOR, ADAPTER = "ecg_model.pth", "projection.pth", "adapter_config.json"
MARKERS = ("<|reserved_special_token_1|>", "<|reserved_special_token_2|>")  # before and behind an ECG
READING = Reading(gap="")
HEADS = {256: 8, 768: 12, 1024: 16}  # dim -> attention heads: ecg_vit, ecg_vit_base (the paper's), ecg_vit_large
PRETRAINED = "ecg_model.model."  # leads the encoder's names in a checkpoint of contrastive pre-training

NAMES = (  # a published name, as a pattern -> ours
    (r"to_patch_embedding\.1\.(\w+)", r"embed.project.0.\1"),
    (r"to_patch_embedding\.2\.(\w+)", r"embed.project.1.\1"),
    (r"to_patch_embedding\.3\.(\w+)", r"embed.project.2.\1"),
    (r"cls_token", "embed.cls"),
    (r"pos_embedding", "embed.position"),
    (r"lead_embedding", "embed.lead"),
    (r"transformer\.layers\.(\d+)\.0\.norm\.(\w+)", r"blocks.\1.norm1.\2"),
    (r"transformer\.layers\.(\d+)\.0\.to_qkv\.weight", r"blocks.\1.qkv.weight"),
    (r"transformer\.layers\.(\d+)\.0\.to_out\.0\.(\w+)", r"blocks.\1.out.0.\2"),
    (r"transformer\.layers\.(\d+)\.1\.net\.0\.(\w+)", r"blocks.\1.norm2.\2"),
    (r"transformer\.layers\.(\d+)\.1\.net\.1\.(\w+)", r"blocks.\1.mlp.0.\2"),
    (r"transformer\.layers\.(\d+)\.1\.net\.4\.(\w+)", r"blocks.\1.mlp.3.\2"),
    (r"norm\.(\w+)", r"norm.\1"),
)


@dataclass(frozen=True)
class Released:
    """A published checkpoint in our names: settings of the parts, their tensors, the adapter's tensors, the LLM it
    belongs to.
    """

    encoder: ViTConfig
    llm: Mapping[str, Any]
    state: Mapping[str, Tensor]
    adapter: Mapping[str, Tensor]


def read_released(folder: Path) -> Released:
    """The checkpoint in a folder of the official code's layout; CheckpointError names the file and key that do not
    fit.
    """
    if not (folder / ENCODER).exists():
        raise CheckpointError(
            f"{folder / ENCODER}: no such file; a stage that kept the encoder frozen leaves none: copy it from the "
            f"stage before"
        )
    config, encoder = encoder_state(folder / ENCODER)
    connector = connector_state(folder / CONNECTOR)
    llm, adapter = _adapter(folder) if (folder / ADAPTER).exists() else ({"tuning": "none"}, {})
    state = {f"encoder.{name}": value for name, value in encoder.items()} | {
        f"connector.{name}": value for name, value in connector.items()
    }
    return Released(config, {"name": "hf", **llm}, state, adapter)


def encoder_state(path: Path | str) -> tuple[ViTConfig, dict[str, Tensor]]:
    """The settings and the state of our `vit` encoder in a published `ecg_model.pth` or contrastive checkpoint.

    CheckpointError where the file holds code, or a name or a shape that the published architecture has not.
    """
    path, found = Path(path), tensors(path)
    found = {
        name.removeprefix(PRETRAINED): value for name, value in found.items() if name.startswith(PRETRAINED)
    } or found
    published = {_ours(path, name): name for name in found if not name.startswith("fc.")}
    state = {ours: _laid_out(path, name, found[name]) for ours, name in published.items()}
    config = _settings(path, state)
    with torch.device("meta"):
        expected = ViT(config).state_dict()
    for name, place in expected.items():
        if name not in state:
            raise CheckpointError(
                f"{path}: has nothing for '{name}' of a ViT of {config.layers} layers; is the file whole?"
            )
        if state[name].shape != place.shape:
            raise CheckpointError(
                f"{path}: '{published[name]}' is {_shape(found[published[name]])}, which makes {_shape(state[name])} "
                f"of '{name}'; "
                f"this ViT needs {_shape(place)}"
            )
    if extra := sorted(state.keys() - expected.keys()):
        raise CheckpointError(f"{path}: '{published[extra[0]]}' has no place in a ViT of {config.layers} layers")
    return config, state


def connector_state(path: Path | str) -> dict[str, Tensor]:
    """The state of our `mlp` connector in a published `projection.pth`; CheckpointError as for the encoder."""
    path, found = Path(path), tensors(path)
    wanted = {"0.weight", "0.bias", "2.weight", "2.bias"}
    if different := sorted(found.keys() ^ wanted):
        raise CheckpointError(
            f"{path}: a published projection holds {', '.join(sorted(wanted))}; '{different[0]}' "
            f"{'has no place' if different[0] in found else 'is missing'}"
        )
    return {f"layers.{name}": value for name, value in found.items()}


def tensors(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a `.pth` or `.bin`; nothing in it is ever run. CheckpointError where it holds anything but
    tensors.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except pickle.UnpicklingError as error:
        if "Unsupported" in str(error) or "GLOBAL" in str(error):
            raise CheckpointError(
                f"{path}: refused: it holds Python objects beside tensors, and to load them would run code. "
                "Get it from its authors again, or have them save a state_dict alone"
            ) from None
        raise CheckpointError(f"{path}: cut short, or no checkpoint of torch") from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise CheckpointError(
            f"{path}: cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise CheckpointError(f"{path}: is no state_dict: names and tensors, and nothing else, are needed")
    return dict(found)


def _ours(path: Path, name: str) -> str:
    for pattern, place in NAMES:
        if re.fullmatch(pattern, name):
            return re.sub(pattern, place, name)
    raise CheckpointError(f"{path}: '{name}' is no name of the published encoder")


def _laid_out(path: Path, name: str, value: Tensor) -> Tensor:
    """[CLS] `[dim]` to `[1, 1, dim]`, positions `[1, 6, dim]` to `[6, dim]`, leads `[1, 12, dim]` to `[12, 1, dim]`;
    others as they are.
    """
    if name == "cls_token" and value.ndim == 1:
        return value[None, None]
    if name in ("pos_embedding", "lead_embedding") and value.ndim == 3 and len(value) == 1:
        return value[0] if name == "pos_embedding" else value[0][:, None]
    if "." not in name:
        raise CheckpointError(f"{path}: '{name}' is {_shape(value)}, not as published")
    return value


def _settings(path: Path, state: Mapping[str, Tensor]) -> ViTConfig:
    """What the shapes say of the architecture; the number of heads they do not say, and it goes with the width."""
    try:
        dim, patch = state["embed.project.1.weight"].shape
        mlp = len(state["blocks.0.mlp.0.weight"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: is no published ECG encoder: {error} is missing or has another shape"
        ) from error
    layers = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks."))
    if dim not in HEADS:
        raise CheckpointError(f"{path}: the encoder is {dim} wide; the published ones are {', '.join(map(str, HEADS))}")
    samples = InputSpec().shape[1]
    if samples % patch:
        raise CheckpointError(f"{path}: patches of {patch} samples do not divide a clip of {samples}")
    return ViTConfig(scaling="lead_minmax", patch=patch, dim=dim, layers=layers, heads=HEADS[dim], mlp=mlp)


def _adapter(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings of the LLM and tensors of the peft adapter in a folder."""
    path = folder / ADAPTER
    try:
        told = json.loads(path.read_text())
        lora = {
            "r": int(told["r"]),
            "alpha": int(told["lora_alpha"]),
            "dropout": float(told["lora_dropout"]),
            "targets": sorted(told["target_modules"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: is no configuration of a LoRA adapter ({error!r})") from error
    beyond = [
        key
        for key in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save", "layers_to_transform")
        if told.get(key)
    ]
    beyond += ["bias"] if told.get("bias", "none") != "none" else []
    if told.get("peft_type") != "LORA" or beyond:
        raise CheckpointError(
            f"{path}: plain LoRA is read, this is {told.get('peft_type')} with {', '.join(beyond) or 'nothing more'}"
        )
    whole, pickled = folder / "adapter_model.safetensors", folder / "adapter_model.bin"
    try:
        found = load_file(whole) if whole.exists() else tensors(pickled)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{whole}: cannot be read: {error}") from error
    return {"path": told.get("base_model_name_or_path") or "", "tuning": "lora", "lora": lora}, found


def _shape(value: Tensor) -> str:
    return str(list(value.shape))
