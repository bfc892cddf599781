"""A model from a folder: one that `python -m anyecg.export` wrote, or a published one of anyECG-chat or PULSE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from anyecg import config
from anyecg.checkpoints.anyecg_chat import CONNECTOR, MARKERS, READING, read_released
from anyecg.checkpoints.llava import is_llava, read_llava
from anyecg.config.schema import GROUPS, Slot, slot
from anyecg.encoders.base import Encoder
from anyecg.encoders.vit import ViT
from anyecg.llms.base import LanguageModel, LLMConfig
from anyecg.model import ECGLanguageModel
from anyecg.session import Reading, Session
from anyecg.types import CheckpointError

CONFIG, WEIGHTS, LLM = "config.json", "model.safetensors", "llm"
FORMAT = 2
EXPORTED, LLAVA, RELEASED = "exported", "llava", "released"  # layouts of a folder
ENCODER = "encoder."  # leads the names of an encoder's tensors in a model's state
LLAVA_READING = Reading(max_seconds=10.0, max_ecgs=1)


@dataclass(frozen=True)
class Architecture:
    """The parts of a model and how it wants its ECGs: the keys of an exported config.json that decide what is
    loaded.
    """

    encoder: Slot = slot("encoder")
    connector: Slot = slot("connector")
    fusion: Slot = slot("fusion", "tokens")
    llm: Slot = slot("llm")
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True)
class Sight:
    """The keys of an exported config.json that decide which encoder is loaded, and what it is shown."""

    encoder: Slot = slot("encoder")
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True)
class Parts:
    """What a model is put together from; the LLM has its weights, the others get `state`. source: a name for
    messages.
    """

    encoder: nn.Module
    connector: nn.Module
    fusion: nn.Module
    llm: LanguageModel
    state: Mapping[str, Tensor]
    reading: Reading
    source: str


def load_model(folder: Path | str, llm: Mapping[str, Any] | None = None) -> ECGLanguageModel:
    """The model in a folder that `python -m anyecg.export` wrote, or in one of the released checkpoints; frozen, in
    eval mode.

    llm: settings of the LLM that are others here, such as `{"path": "/models/llama3"}`. CheckpointError or ConfigError
    names the file or key that is missing or does not fit (`open_folder`).
    """
    return _assembled(open_folder(folder, llm))


def load_session(folder: Path | str, llm: Mapping[str, Any] | None = None, digitise: bool = False) -> Session:
    """A new dialogue with the model in a folder, which gets its ECGs as it was trained on; arguments and errors as
    for `load_model`. digitise: a picture of a clean page is read as a signal where the encoder takes no pictures.
    """
    model, reading = open_model(folder, llm)
    return Session(model, replace(reading, digitise=digitise))


def open_model(folder: Path | str, llm: Mapping[str, Any] | None = None) -> tuple[ECGLanguageModel, Reading]:
    """The model in a folder and how it wants its ECGs; arguments and errors as for `load_model`."""
    parts = open_folder(folder, llm)
    return _assembled(parts), parts.reading


def open_encoder(folder: Path | str) -> tuple[Encoder, Reading]:
    """The encoder of the model in a folder, without the LLM, frozen and in eval mode, and how it wants its ECGs;
    CheckpointError as for `load_model`.
    """
    folder = Path(folder)
    kind = layout(folder)
    if kind == EXPORTED:
        sight = config.build(Sight, {key: told(folder)[key] for key in ("encoder", "reading")}, str(folder / CONFIG))
        encoder, state, reading = sight.encoder.build(), weights(folder / WEIGHTS), sight.reading
    elif kind == LLAVA:
        settings, state = read_llava(folder)
        encoder = config.build(Sight, {"encoder": {"name": "clip", **settings}}, str(folder)).encoder.build()
        reading = LLAVA_READING
    else:
        found = read_released(folder)
        encoder, state, reading = ViT(found.encoder), found.state, READING
    fill_encoder(encoder, state, str(folder))
    return encoder.requires_grad_(False).eval(), reading


def fill_encoder(encoder: Encoder, state: Mapping[str, Tensor], source: str) -> None:
    """Copy the tensors `encoder.*` of a model's state into an encoder; CheckpointError where they do not fit."""
    own = {name.removeprefix(ENCODER): value for name, value in state.items() if name.startswith(ENCODER)}
    try:
        encoder.load_state_dict(own)
    except RuntimeError as error:
        what = next(iter(str(error).splitlines()[1:]), str(error)).strip()
        raise CheckpointError(f"{source}: its tensors are not those of its encoder: {what}") from error


def _assembled(parts: Parts) -> ECGLanguageModel:
    model = ECGLanguageModel(parts.encoder, parts.connector, parts.fusion, parts.llm)
    if missing := sorted(model.part_state(GROUPS).keys() - parts.state.keys()):
        raise CheckpointError(
            f"{parts.source}: '{missing[0]}' is missing; is the file complete, and of these components?"
        )
    model.load_part_state(parts.state, parts.source)
    return model.requires_grad_(False).eval()


def open_folder(folder: Path | str, llm: Mapping[str, Any] | None = None) -> Parts:
    """The parts of the model in a folder.

    llm: settings of the LLM that are others here, such as `{"path": "/models/llama3", "dtype": "float32"}`.
    CheckpointError or ConfigError where the folder is neither of the two, where a file of it is missing or damaged,
    where a tensor does not fit, and where the LLM it was trained with cannot be found.
    """
    folder = Path(folder)
    opener = {EXPORTED: _exported, LLAVA: _llava, RELEASED: _released}[layout(folder)]
    return opener(folder, llm or {})


def layout(folder: Path) -> str:
    """Which layout the model in a folder has, EXPORTED, LLAVA or RELEASED; CheckpointError where there is no model."""
    if (folder / CONFIG).exists():
        return LLAVA if is_llava(_values(folder / CONFIG)) else EXPORTED
    if (folder / CONNECTOR).exists():
        return RELEASED
    hint = f"; it is a run: python -m anyecg.export {folder} --to FOLDER" if (folder / "config.yaml").exists() else ""
    raise CheckpointError(
        f"{folder} holds no model: neither {CONFIG} (python -m anyecg.export writes it) nor {CONNECTOR} of the "
        f"released checkpoints{hint}"
    )


def told(folder: Path) -> dict[str, Any]:
    """What the config.json of an exported model says; CheckpointError where it is none, or of another format."""
    path = folder / CONFIG
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        known = values["anyecg"]["format"]
        missing = [name for name in ("encoder", "connector", "fusion", "llm", "reading") if name not in values]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: is no configuration that python -m anyecg.export wrote ({error!r})") from error
    if known != FORMAT:
        raise CheckpointError(
            f"{path}: format {known}; this version of anyecg reads format {FORMAT}: export the run again"
        )
    if missing:
        raise CheckpointError(
            f"{path}: is no configuration that python -m anyecg.export wrote (it has no '{missing[0]}')"
        )
    return values


def weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; CheckpointError where it cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error


def _exported(folder: Path, changes: Mapping[str, Any]) -> Parts:
    said = told(folder)
    if said["llm"] is None:
        raise CheckpointError(
            f"{folder} holds an encoder alone, since its run trained nothing else: it embeds ECGs and ranks labels "
            f"(anyecg.load({str(folder)!r})), and has no LLM that could answer"
        )
    values = {name: said[name] for name in ("encoder", "connector", "fusion", "llm", "reading")}
    try:
        values["llm"] = _changed(values["llm"], changes)
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / CONFIG}: llm: has no name ({error!r})") from error
    inside = values["llm"].get("path") == f"./{LLM}"
    if inside:
        values["llm"]["path"] = str(folder / LLM)
        if not (folder / LLM).is_dir():
            raise CheckpointError(
                f"{folder / LLM}: no such folder, though {CONFIG} says that the LLM is in it; is the download whole?"
            )
    parts = config.build(Architecture, values, str(folder / CONFIG))
    encoder, llm = parts.encoder.build(), parts.llm.build()
    if llm.tuning == "lora":
        llm.load_tuned(folder)
    state = weights(folder / WEIGHTS)
    connector = parts.connector.component.of(parts.connector.config, encoder, llm)
    fusion = parts.fusion.build(llm, *connector.tokens(encoder.prefix, encoder.patches))
    return Parts(encoder, connector, fusion, llm, state, parts.reading, str(folder / WEIGHTS))


def _released(folder: Path, changes: Mapping[str, Any]) -> Parts:
    found = read_released(folder)
    values = _changed(found.llm, changes)
    if not values.get("path") or (Path(values["path"]).is_absolute() and not Path(values["path"]).is_dir()):
        raise CheckpointError(
            f"{folder}: its LLM is {values.get('path') or 'not named'}, which is not here; "
            'give its folder: load_model(..., llm={"path": "/models/Meta-Llama-3-8B-Instruct"})'
        )
    parts = config.build(Architecture, {"encoder": "vit", "connector": "mlp", "llm": values}, str(folder))
    encoder, llm = parts.encoder.component(found.encoder), parts.llm.build()
    connector = parts.connector.component.of(parts.connector.config, encoder, llm)
    fusion = parts.fusion.build(llm, *connector.tokens(encoder.prefix, encoder.patches))
    if found.adapter:
        load_adapter(llm, found.adapter, folder)
    return Parts(encoder, connector, fusion, llm, found.state | {"fusion.markers": _markers(llm)}, READING, str(folder))


def _values(path: Path) -> Mapping[str, Any]:
    """What a JSON file says, as far as it says something by name."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _llava(folder: Path, changes: Mapping[str, Any]) -> Parts:
    """PULSE-7B and others of LLaVA's layout: pages in tiles, no markers, an ECG a line before its question."""
    settings, state = read_llava(folder)
    values = {
        "encoder": {"name": "clip", **settings},
        "connector": "mlp",
        "fusion": "llava",
        "llm": {"name": "llava", "path": str(folder), "tuning": "none", **changes},
        "reading": config.to_dict(LLAVA_READING),
    }
    parts = config.build(Architecture, values, str(folder))
    encoder, llm = parts.encoder.build(), parts.llm.build()
    connector = parts.connector.component.of(parts.connector.config, encoder, llm)
    fusion = parts.fusion.build(llm, *connector.tokens(encoder.prefix, encoder.patches))
    return Parts(encoder, connector, fusion, llm, state, parts.reading, str(folder))


def _changed(told: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of an LLM with changes; another component takes over what all of them have."""
    if changes.get("name", told["name"]) != told["name"]:
        told = {key: value for key, value in told.items() if key in {f.name for f in fields(LLMConfig)}}
    return {**told, **changes}


def load_adapter(llm: LanguageModel, adapter: Mapping[str, Tensor], folder: Path) -> None:
    """A peft adapter's tensors into an LLM with LoRA, all or none; what could be trained still can."""
    own = get_peft_model_state_dict(llm.model, save_embedding_layers=False)
    if different := sorted(own.keys() ^ adapter.keys()):
        raise CheckpointError(
            f"{folder}: the adapter is of another LLM than {llm.config_name}: {len(different)} names differ, the "
            f"first is {different[0]}"
        )
    for name, value in own.items():
        if adapter[name].shape != value.shape:
            raise CheckpointError(
                f"{folder}: the adapter's {name} is {list(adapter[name].shape)}, {llm.config_name} needs "
                f"{list(value.shape)}"
            )
    set_peft_model_state_dict(llm.model, dict(adapter))


def _markers(llm: LanguageModel) -> Tensor:
    """`[2, dim]`: the released checkpoints' <ECG_start> and <ECG_end> are tokens of Llama-3 itself."""
    vocabulary = llm.tokenizer.get_vocab()
    missing = [name for name in MARKERS if name not in vocabulary]
    if missing:
        raise CheckpointError(
            f"the released checkpoints mark an ECG with {' and '.join(MARKERS)}, which {llm.config_name} does not "
            f"have; "
            "give the folder of Meta-Llama-3-8B-Instruct"
        )
    return llm.embed(torch.tensor([[vocabulary[name] for name in MARKERS]]))[0].detach()
