"""Published checkpoints of anyECG-chat: files in their layout, read through the key map, against their architecture
in plain torch.
"""

import json
import os

import numpy as np
import pytest
import torch
from peft import LoraConfig
from torch import nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from anyecg.checkpoints import load_model, load_session
from anyecg.checkpoints.anyecg_chat import MARKERS, connector_state, encoder_state
from anyecg.data.clips.scaling import lead_minmax
from anyecg.encoders.vit import ViT
from anyecg.llms.tiny import train_tokenizer
from anyecg.run import main
from anyecg.types import CANONICAL_LEADS, CheckpointError, ECGRecord
from tests.conftest import SMALL, TEXTS, collator, make_item


def published_state(dim, layers, mlp, seed=0, patch=200):
    """Random tensors under the names and in the shapes of the official code's `ecg_model.pth`."""
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape, scale=1.0):
        # faster than randn for 86 M of them, of about the same deviation
        return (torch.rand(*shape, generator=generator) - 0.5) * (3.5 * scale)

    def norm(name, size):
        return {f"{name}.weight": 1 + rand(size, scale=0.1), f"{name}.bias": rand(size, scale=0.1)}

    def linear(name, inputs, outputs, bias=True):
        return {f"{name}.weight": rand(outputs, inputs, scale=inputs**-0.5)} | (
            {f"{name}.bias": rand(outputs, scale=0.1)} if bias else {}
        )

    state = {
        "lead_embedding": rand(1, 12, dim),
        "pos_embedding": rand(1, 1 + 1000 // patch, dim),
        "cls_token": rand(dim),
    }
    state |= (
        norm("to_patch_embedding.1", patch)
        | linear("to_patch_embedding.2", patch, dim)
        | norm("to_patch_embedding.3", dim)
    )
    for i in range(layers):
        at = f"transformer.layers.{i}"
        state |= (
            norm(f"{at}.0.norm", dim)
            | linear(f"{at}.0.to_qkv", dim, 3 * dim, bias=False)
            | linear(f"{at}.0.to_out.0", dim, dim)
        )
        state |= norm(f"{at}.1.net.0", dim) | linear(f"{at}.1.net.1", dim, mlp) | linear(f"{at}.1.net.4", mlp, dim)
    return state | norm("norm", dim) | linear("fc", dim, 512, bias=False)


def published_encode(state, signal, heads):
    """What the published encoder hands to the projection, `[N, 12, 1000]` -> `[N, 61, dim]`, written out: attention
    as a softmax of products.
    """

    def layer_norm(name, x):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(name, x):
        return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))

    dim, layers = (
        len(state["cls_token"]),
        1 + max(int(name.split(".")[2]) for name in state if name.startswith("transformer")),
    )
    patches = torch.stack(
        [signal[:, lead, 200 * time : 200 * time + 200] for lead in range(12) for time in range(5)], dim=1
    )
    x = layer_norm("to_patch_embedding.3", linear("to_patch_embedding.2", layer_norm("to_patch_embedding.1", patches)))
    places = [
        state["lead_embedding"][0, lead] + state["pos_embedding"][0, 1 + time]
        for lead in range(12)
        for time in range(5)
    ]
    x = x + torch.stack(places)
    cls = (state["cls_token"] + state["pos_embedding"][0, 0]).expand(len(x), 1, dim)
    x = torch.cat([cls, x], dim=1)
    for i in range(layers):
        at = f"transformer.layers.{i}"
        each = linear(f"{at}.0.to_qkv", layer_norm(f"{at}.0.norm", x)).split(dim, dim=-1)
        q, k, v = (part.unflatten(-1, (heads, dim // heads)).transpose(1, 2) for part in each)
        seen = torch.softmax(q @ k.transpose(-1, -2) * (dim // heads) ** -0.5, dim=-1) @ v
        x = x + linear(f"{at}.0.to_out.0", seen.transpose(1, 2).flatten(2))
        x = x + linear(f"{at}.1.net.4", F.gelu(linear(f"{at}.1.net.1", layer_norm(f"{at}.1.net.0", x))))
    return x


def published_projection(dim, width, seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(dim, width), nn.GELU(), nn.Linear(width, width))


@pytest.mark.parametrize(
    ("dim", "layers", "mlp", "heads"), [(256, 2, 512, 8), (768, 12, 3072, 12)], ids=["small", "base"]
)
@torch.no_grad()
def test_the_encoder_gives_the_published_states(dim, layers, mlp, heads, tmp_path):
    state = published_state(dim, layers, mlp)
    torch.save(state, tmp_path / "ecg_model.pth")
    config, ours = encoder_state(tmp_path / "ecg_model.pth")
    with torch.device("meta"):
        encoder = ViT(config).eval()
    encoder.load_state_dict(ours, assign=True)
    assert sum(p.numel() for p in encoder.parameters()) == sum(
        v.numel() for name, v in state.items() if name != "fc.weight"
    )
    signal = torch.rand(2, 12, 1000, generator=torch.Generator().manual_seed(2)) * 2 - 1
    tokens, expected = encoder(signal, torch.ones(2, 12, dtype=torch.bool)), published_encode(state, signal, heads)
    torch.testing.assert_close(tokens, expected, atol=1e-5, rtol=1e-5)
    pooled = F.layer_norm(expected[:, 0], (dim,), state["norm.weight"], state["norm.bias"])
    torch.testing.assert_close(encoder.pooled(tokens), pooled, atol=1e-5, rtol=1e-5)


def test_a_checkpoint_of_contrastive_pretraining_is_read_too(tmp_path):
    state = published_state(256, 1, 512)
    whole = {f"ecg_model.model.{name}": value for name, value in state.items()} | {
        "text_model.weight": torch.ones(2),
        "logit_scale": torch.ones(()),
    }
    torch.save(state, tmp_path / "one.pth")
    torch.save(whole, tmp_path / "other.bin")
    (_, one), (_, other) = encoder_state(tmp_path / "one.pth"), encoder_state(tmp_path / "other.bin")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A small Llama with the tokens that mark an ECG in Llama-3."""
    folder = tmp_path_factory.mktemp("llama")
    tokenizer = train_tokenizer(TEXTS, 400, 512)
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKERS)})
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.3,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def release(tmp_path, llama):
    """A folder as the official train.py leaves it at the end of a stage, written with torch and transformers alone."""
    torch.save(published_state(256, 1, 512), tmp_path / "ecg_model.pth")
    torch.save(published_projection(256, 32).state_dict(), tmp_path / "projection.pth")
    language_model = LlamaForCausalLM.from_pretrained(llama)
    language_model.add_adapter(
        LoraConfig(
            target_modules=["q_proj", "k_proj"],
            lora_alpha=16,
            lora_dropout=0.1,
            r=8,
            bias="none",
            task_type="CAUSAL_LM",
        )
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in language_model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    language_model.save_pretrained(tmp_path)
    return tmp_path, language_model.eval()


def test_a_released_folder_is_a_model(release, llama):
    """Encoder, projection, markers and LoRA give the logits that the official pieces give, put together by hand."""
    folder, language_model = release
    model = load_model(folder, llm={"path": str(llama), "dtype": "float32"})
    item = make_item(clips=(2,), answer="")
    batch = collator(model, generate=True)([item])
    state = torch.load(folder / "ecg_model.pth")
    with torch.no_grad():
        tokens = published_projection(256, 32)(published_encode(state, torch.from_numpy(item.clips[0]), heads=8))
        ecg = torch.cat([tokens[:, 0].mean(0, keepdim=True), tokens[0, 1:], tokens[1, 1:]])
        torch.testing.assert_close(model.encode(batch), ecg, atol=1e-5, rtol=1e-5)
        after_norm = F.layer_norm(
            published_encode(state, torch.from_numpy(item.clips[0]), heads=8),
            (256,),
            state["norm.weight"],
            state["norm.bias"],
        )
        assert not torch.allclose(published_projection(256, 32)(after_norm)[0, 1:], ecg[1:61], atol=1e-2)
        start, end = (model.llm.tokenizer.convert_tokens_to_ids(name) for name in MARKERS)
        table = language_model.get_input_embeddings().weight
        ids, at = batch.input_ids[0], int(batch.ecg_mask[0].nonzero()[0])
        embeds = torch.cat([table[ids[: at - 1]], table[[start]], ecg, table[[end]], table[ids[at + len(ecg) + 1 :]]])[
            None
        ]
        expected = language_model(inputs_embeds=embeds).logits
        ours = model.llm.head(model.llm.hidden(model.embed(batch), batch.attention_mask))
    torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        language_model.disable_adapters()
        assert not torch.allclose(language_model(inputs_embeds=embeds).logits, expected, atol=1e-2)


def test_a_released_model_reads_an_ecg_as_it_was_trained(release, llama):
    session = load_session(release[0], llm={"path": str(llama), "dtype": "float32"})
    record = ECGRecord(
        np.random.default_rng(0).normal(size=(12, 1000)).astype(np.float32), 100.0, CANONICAL_LEADS, "own", ""
    )
    assert isinstance(session.ask("What is this?", [record], max_new_tokens=4), str)
    signal = np.stack([np.array([0.0, 1.0, 4.0]), np.full(3, 2.0)])
    np.testing.assert_allclose(lead_minmax(signal, np.ones(2, bool)), [[-1, -0.5, 1], [0, 0, 0]])
    assert (session.model.encoder.input.scaling, session.reading.gap) == ("lead_minmax", "")


def test_without_its_llm_a_released_folder_says_what_to_give(release):
    path = release[0] / "adapter_config.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"base_model_name_or_path": "/home/xxxx/Meta-Llama-3-8B-Instruct"}))
    with pytest.raises(CheckpointError, match="its LLM is /home/xxxx/Meta-Llama-3-8B-Instruct, which is not here"):
        load_model(release[0])


def test_an_llm_without_the_markers_is_refused(release, llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    LlamaForCausalLM.from_pretrained(llama).save_pretrained(folder)
    train_tokenizer(TEXTS, 400, 512).save_pretrained(folder)
    with pytest.raises(CheckpointError, match="reserved_special_token_1"):
        load_model(release[0], llm={"path": str(folder), "dtype": "float32"})


class Code:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("name", ["ecg_model.pth", "projection.pth"])
def test_a_file_that_holds_code_is_refused_and_not_run(name, release, llama, tmp_path_factory):
    proof = tmp_path_factory.mktemp("proof") / "ran"
    torch.save({"0.weight": Code(f"touch {proof}")}, release[0] / name)
    with pytest.raises(CheckpointError, match=f"{name}: refused"):
        load_model(release[0], llm={"path": str(llama)})
    assert not proof.exists()


def spoilt(**changes):
    """The published state with tensors replaced, or (None) left out."""
    state = published_state(256, 1, 512) | {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (spoilt(cls_token=torch.zeros(255)), r"'cls_token' is \[255\].*needs \[1, 1, 256\]"),
        (spoilt(pos_embedding=torch.zeros(1, 11, 256)), r"'pos_embedding' is \[1, 11, 256\]"),
        (spoilt(lead_embedding=torch.zeros(12, 256)), r"'lead_embedding' is \[12, 256\], not as published"),
        (
            spoilt(transformer__layers__0__0__to_out__0__weight=torch.zeros(256, 128)),
            r"to_out.0.weight' is \[256, 128\]",
        ),
        (spoilt(transformer__layers__0__0__to_qkv__weight=None), "has nothing for 'blocks.0.qkv.weight'"),
        (spoilt(to_patch_embedding__0__weight=torch.zeros(3)), "'to_patch_embedding.0.weight' is no name"),
        (spoilt(transformer__layers__0__0__to_qkv__bias=torch.zeros(3)), "to_qkv.bias' is no name"),
        (spoilt(to_patch_embedding__2__weight=torch.zeros(300, 200)), "is 300 wide"),
        (spoilt(to_patch_embedding__2__weight=torch.zeros(256, 300)), "300 samples do not divide"),
        ({"weight": torch.zeros(1)}, "'weight' is no name"),
        ({"epoch": 3}, "is no state_dict"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_named(state, words, tmp_path):
    torch.save(state, tmp_path / "ecg_model.pth")
    with pytest.raises(CheckpointError, match=words) as raised:
        encoder_state(tmp_path / "ecg_model.pth")
    assert str(tmp_path / "ecg_model.pth") in str(raised.value)


def test_projections_and_adapters_that_do_not_fit_are_named(release, llama):
    folder, here = release[0], {"path": str(llama), "dtype": "float32"}
    torch.save(published_projection(256, 48).state_dict(), folder / "projection.pth")
    with pytest.raises(CheckpointError, match="connector.layers.0.weight.*this model needs"):
        load_model(folder, here)
    torch.save({"0.weight": torch.zeros(1)}, folder / "projection.pth")
    with pytest.raises(CheckpointError, match="projection.pth: a published projection holds .*'0.bias' is missing"):
        connector_state(folder / "projection.pth")
    torch.save(published_projection(256, 32).state_dict(), folder / "projection.pth")
    told = json.loads((folder / "adapter_config.json").read_text())
    for changes, words in (
        ({"r": 4}, "the adapter's .* needs"),
        ({"target_modules": ["v_proj"]}, "adapter is of another LLM"),
        ({"use_dora": True}, "plain LoRA is read, this is LORA with use_dora"),
        ({"lora_alpha": "a"}, "no configuration of a LoRA"),
    ):
        (folder / "adapter_config.json").write_text(json.dumps(told | changes))
        with pytest.raises(CheckpointError, match=words):
            load_model(folder, here)
    (folder / "ecg_model.pth").unlink()
    with pytest.raises(CheckpointError, match="copy it from the stage before"):
        load_model(folder, here)


@pytest.mark.parametrize(
    "damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"not a checkpoint", lambda whole: b""]
)
def test_a_damaged_file_is_named(damage, release):
    path = release[0] / "ecg_model.pth"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CheckpointError, match="ecg_model.pth: "):
        encoder_state(path)


FEW = (
    "corpora.cpsc2018.patients=12",
    "corpora.csn.patients=12",
    "limit=12",
    "bootstrap=20",
    "max_new_tokens=4",
    "conversations=null",
)


@pytest.mark.slow
def test_the_released_checkpoint_goes_through_every_control_in_one_command(
    release, llama, small_cache, tmp_path, monkeypatch
):
    folder, _ = release
    monkeypatch.setattr("anyecg.training.pipeline.train", lambda *_: pytest.fail("trained"))
    command = ["experiments/published_weights.yaml", *SMALL, f"cache={small_cache}", f"output={tmp_path / 'runs'}", f"answerer.folder={folder}",
               f"answerer.llm={{path: {llama}, dtype: float32}}", *(f"evaluation.{one}" for one in FEW)]  # fmt: skip
    assert main(command) == 0
    (run,) = (tmp_path / "runs").iterdir()
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["answerer"]["name"] == "anyecg.checkpoints.answerer:Checkpoint" and not (run / "stages").exists()
    assert set(metrics["tasks"]) == {"report", "classification", "localization", "multi_ecg", "ecg_qa"}
    for name, task in metrics["tasks"].items():
        asked = {"signal", "blind", "text_only", "noise", "flat_line", "shuffled"}
        asked |= set() if name == "ecg_qa" else {"prior"}  # which has no training questions
        asked |= {"first_lead_masked", "time_shift", "paraphrase"} if name == "localization" else set()
        assert asked <= set(task["views"]), name
    assert "text only (no positions of an ECG)" in (run / "table.md").read_text()
    assert main(command) == 0  # again, from what is kept
