"""Checkpoints of LLaVA's layout (PULSE-7B's): the same logits as transformers' CLIP and Llama put together by hand."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from anyecg.checkpoints import load_model, load_session
from anyecg.checkpoints.llava import PROJECTOR, TOWER
from anyecg.data.clips.page.maker import PageConfig
from anyecg.llms.tiny import train_tokenizer
from anyecg.types import CheckpointError, ConfigError, ECGRecord
from tests.conftest import TEXTS, collator

SIDE, PATCH, WIDTH, DIM = 56, 14, 128, 32


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A tiny checkpoint of the layout, and the modules whose weights it holds."""
    folder = tmp_path_factory.mktemp("pulse")
    torch.manual_seed(0)
    eye = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=3, num_attention_heads=2, image_size=SIDE,
            patch_size=PATCH,
        )
    ).eval()  # fmt: skip
    tokenizer = train_tokenizer(TEXTS, 400, 512)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=DIM, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=512,
    )  # fmt: skip
    llm = LlamaForCausalLM(config).eval()
    projector = nn.Sequential(nn.Linear(WIDTH, DIM), nn.GELU(), nn.Linear(DIM, DIM))
    for parameter in [*eye.parameters(), *projector.parameters(), *llm.parameters()]:
        parameter.data.add_(torch.randn_like(parameter) * 0.05)
    vision = {name.removeprefix("vision_model."): value for name, value in eye.state_dict().items()}
    state = {f"{TOWER}{name}": value for name, value in vision.items()}
    state |= {f"{PROJECTOR}{name}": value for name, value in projector.state_dict().items()}
    state |= {"model.image_newline": torch.zeros(DIM)} | llm.state_dict()
    state = {name: value.clone().contiguous() for name, value in state.items()}
    names = sorted(state)
    for number, part in enumerate((names[::2], names[1::2])):
        save_file(
            {name: state[name] for name in part},
            folder / f"model-0000{number + 1}-of-00002.safetensors",
            {"format": "pt"},
        )
    index = {name: f"model-0000{1 + place % 2}-of-00002.safetensors" for place, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    told = config.to_dict() | {
        "model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": "openai/clip",
        "mm_vision_select_layer": -2, "mm_projector_type": "mlp2x_gelu",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(told))
    tokenizer.save_pretrained(folder)
    return folder, eye, projector, llm


@pytest.fixture(scope="module")
def loaded(published):
    return load_model(published[0], llm={"dtype": "float32"})


def record(seconds=10):
    signal = np.random.default_rng(0).normal(size=(12, 100 * seconds)).astype(np.float32) / 5
    names = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    return ECGRecord(signal, 100, names, "r", "p")


def test_the_logits_are_those_of_the_published_architecture(published, loaded):
    from anyecg.session import Dialogue, Reading

    _, eye, projector, llm = published
    assert loaded.encoder.input.kind == "tiles" and loaded.encoder.input.settings == PageConfig()
    item = Dialogue().question("What is the rhythm?", [record()], Reading(max_seconds=10), loaded.encoder.input)
    batch = collator(loaded, generate=True, spec=loaded.encoder.input)([item])
    assert batch.clips.shape == (5, 3, SIDE, SIDE) and len(batch.places) == 5 * (SIDE // PATCH) ** 2
    mean, std = (
        torch.tensor(values).view(3, 1, 1)
        for values in ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    )
    with torch.no_grad():
        pixels = (batch.clips / 255 - mean) / std
        seen = projector(eye(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]).flatten(0, 1)
        embeds = llm.get_input_embeddings()(batch.input_ids.clamp(min=0))[0]
        embeds[batch.places] = seen
        wanted = llm(inputs_embeds=embeds[None]).logits[0]
        hidden = loaded.fusion(loaded.llm, batch, loaded.encode(batch))[0]
        ours = loaded.llm.model.get_output_embeddings()(hidden)
    torch.testing.assert_close(ours, wanted, atol=2e-4, rtol=1e-3)


def test_it_answers_in_vicunas_words(published):
    session = load_session(published[0], llm={"dtype": "float32"})
    assert isinstance(session.ask("What is the rhythm?", [record()], max_new_tokens=3), str)
    template = session.model.llm.chat.template
    assert "USER: " in template and not session.model.places.markers


def changed(published, tmp_path, change):
    from safetensors.torch import load_file

    folder = tmp_path / "changed"
    folder.mkdir()
    for path in published[0].iterdir():
        if path.suffix == ".safetensors":
            state = load_file(path)
            change(state)
            save_file(state, folder / path.name, {"format": "pt"})
        else:
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(f"{PROJECTOR}2.bias", None), "mlp2x_gelu"),
        (lambda s: s.update({f"{TOWER}strange.weight": torch.zeros(1)}), "no name of CLIP"),
        (lambda s: [s.pop(name) for name in [*s] if name.endswith("layers.0.self_attn.k_proj.weight") and TOWER in name], "k_proj is missing"),
        (lambda s: s.update({n: torch.zeros(3) for n in s if n == f"{PROJECTOR}0.bias"}), "connector"),
        (lambda s: [s.pop(name) for name in [*s] if name.startswith(TOWER)], "holds no model.vision_tower"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(published, tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        load_model(changed(published, tmp_path, change), llm={"dtype": "float32"})


def test_a_missing_weight_of_the_llm_is_named(published, tmp_path):
    folder = changed(published, tmp_path, lambda s: s.pop("model.norm.weight", None))
    with pytest.raises(ConfigError, match=r"model\.norm\.weight"):
        load_model(folder, llm={"dtype": "float32"})


def test_an_unpadded_merge_is_refused(published, tmp_path):
    folder = changed(published, tmp_path, lambda s: None)
    told = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(told | {"mm_patch_merge_type": "spatial_unpad"}))
    with pytest.raises(CheckpointError, match="merged flat"):
        load_model(folder)
