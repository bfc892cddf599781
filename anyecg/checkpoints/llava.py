"""Checkpoints of LLaVA's layout, such as PULSE-7B: eye and projector through a key map, every shape checked.

Names are those of the public LLaVA-1.6 code (github.com/LLaVA-VL/LLaVA-NeXT, a copy of which PULSE trains with): shards
of safetensors with `model.vision_tower.vision_tower.vision_model.*` (the names of transformers' CLIP),
`model.mm_projector.{0,2}.*` and a Llama. The newline vector `model.image_newline` is left out: tiles are merged flat.
The weights of PULSE-7B could not be downloaded where this was written; the map was tested on files of that layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from anyecg.types import CheckpointError

MODEL_TYPES = ("llava_llama", "llava")
TOWER, PROJECTOR = "model.vision_tower.vision_tower.vision_model.", "model.mm_projector."
NAMES = (  # a published name behind TOWER, as a pattern -> timm's
    (r"embeddings\.class_embedding", "cls_token"),
    (r"embeddings\.patch_embedding\.weight", "patch_embed.proj.weight"),
    (r"embeddings\.position_embedding\.weight", "pos_embed"),
    (r"pre_layrnorm\.(\w+)", r"norm_pre.\1"),
    (r"encoder\.layers\.(\d+)\.layer_norm([12])\.(\w+)", r"blocks.\1.norm\2.\3"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)", r"blocks.\1.attn.proj.\2"),
    (r"encoder\.layers\.(\d+)\.mlp\.(fc[12])\.(\w+)", r"blocks.\1.mlp.\2.\3"),
)
JOINED = re.compile(r"encoder\.layers\.(\d+)\.self_attn\.([qkv])_proj\.(\w+)")  # one tensor `qkv` in timm
UNUSED = re.compile(r"post_layernorm\.\w+|embeddings\.position_ids")  # behind the layer that is read


def is_llava(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of LLaVA's layout."""
    return config.get("model_type") in MODEL_TYPES and "mm_vision_tower" in config


def read_llava(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings of a `clip` encoder for a folder of LLaVA's layout, and the state of encoder and connector
    (`encoder.*`, `connector.*`).

    CheckpointError names the file and the tensor that does not fit. What of the eye lies behind its last layer but one
    is not read.
    """
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    layer = int(told.get("mm_vision_select_layer", -2))
    if told.get("mm_vision_select_feature", "patch") != "patch" or told.get("mm_patch_merge_type", "flat") != "flat":
        raise CheckpointError(
            f"{folder / 'config.json'}: patches merged flat are read, as PULSE has them, not "
            f"{told.get('mm_vision_select_feature', 'patch')} merged {told.get('mm_patch_merge_type', 'flat')}"
        )
    found = tensors(folder, (TOWER, PROJECTOR))
    tower = {name.removeprefix(TOWER): value for name, value in found.items() if name.startswith(TOWER)}
    if not tower:
        raise CheckpointError(
            f"{folder}: holds no {TOWER}*; a checkpoint without its eye needs the one it was trained with"
        )
    state = _joined(folder, tower)
    blocks = 1 + max((int(name.split(".")[1]) for name in state if name.startswith("blocks.")), default=-1)
    kept = blocks + layer + 1 if layer < 0 else layer
    state = {
        name: value for name, value in state.items() if not name.startswith("blocks.") or int(name.split(".")[1]) < kept
    }
    width, _, patch, _ = state["patch_embed.proj.weight"].shape
    side = round((state["pos_embed"].shape[1] - 1) ** 0.5) * patch
    settings = {
        "layer": layer,
        "height": side,
        "width": side,
        "sizes": {"embed_dim": width, "depth": blocks, "num_heads": max(1, width // 64), "patch_size": patch},
    }
    projector = {name.removeprefix(PROJECTOR): value for name, value in found.items() if name.startswith(PROJECTOR)}
    wanted = {"0.weight", "0.bias", "2.weight", "2.bias"}
    if different := sorted(projector.keys() ^ wanted):
        raise CheckpointError(f"{folder}: a projector mlp2x_gelu holds {', '.join(sorted(wanted))}, not {different[0]}")
    return settings, {f"encoder.model.{name}": value.float() for name, value in state.items()} | {
        f"connector.layers.{name}": value.float() for name, value in projector.items()
    }


def tensors(folder: Path, prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Name -> tensor of all safetensors of a folder whose names begin so; CheckpointError where one cannot be read."""
    found: dict[str, Tensor] = {}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{folder}: holds no safetensors; checkpoints of other kinds are not read")
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                found |= {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefixes)}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read: {error}") from error
    return found


def _joined(folder: Path, tower: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The eye's tensors under timm's names."""
    state: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tower.items():
        if UNUSED.fullmatch(name):
            continue
        if match := JOINED.fullmatch(name):
            parts.setdefault(f"blocks.{match[1]}.attn.qkv.{match[3]}", {})[match[2]] = value
            continue
        ours = next((re.sub(pattern, new, name) for pattern, new in NAMES if re.fullmatch(pattern, name)), None)
        if ours is None:
            raise CheckpointError(f"{folder}: '{TOWER}{name}' is no name of CLIP's vision model")
        state[ours] = value
    for ours, three in parts.items():
        if missing := sorted(set("qkv") - three.keys()):
            raise CheckpointError(f"{folder}: {TOWER}*.{missing[0]}_proj is missing for '{ours}'")
        state[ours] = torch.cat([three[part] for part in "qkv"])
    for name, shape in (("cls_token", (1, 1, -1)), ("pos_embed", (1, -1, state["cls_token"].numel()))):
        state[name] = state[name].reshape(shape)
    return state
