"""LLMs that cannot be used as they are: said when they are loaded, or mended; never a wrong logit, never a traceback
after training.
"""

import json
import shutil

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.llms.tiny import TEMPLATE
from anyecg.types import ConfigError, Turn
from tests.llms.families import LLAMA

PER_LAYER = LLAMA | dict(num_hidden_layers=4, hidden_size_per_layer_input=8, num_kv_shared_layers=2, sliding_window=32,
                         layer_types=["sliding_attention", "full_attention"] * 2)  # fmt: skip
UNFIT = {
    "Gemma3nText": (
        PER_LAYER | dict(activation_sparsity_pattern=[0.0] * 4, laurel_rank=4, altup_num_inputs=2),
        "embeds token ids anew",
    ),
    "Gemma4Text": (PER_LAYER | dict(global_head_dim=8), "embeds token ids anew"),
    "Llama4Text": (
        LLAMA | dict(intermediate_size_mlp=48, num_local_experts=2),
        "does not name its body and its head apart",
    ),
    "ModernBertDecoder": (
        dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48),
        r"more than one product.*lm_head.dense.weight",
    ),
}


@pytest.fixture
def folder(family_folder, tmp_path):
    """A copy of the small Llama to spoil."""
    return shutil.copytree(family_folder("Llama"), tmp_path / "llm")


def opened(folder, **settings):
    return HFLanguageModel(HFConfig(path=str(folder), dtype="float32", tuning="none", **settings)).eval()


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("family", UNFIT)
def test_a_family_whose_logits_would_be_others_is_refused(family, family_folder, tmp_path):
    settings, words = UNFIT[family]
    sizes = dict(vocab_size=320, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    extra = {"vocab_size_per_layer_input": 320} if "hidden_size_per_layer_input" in settings else {}
    AutoModelForCausalLM.from_config(
        getattr(transformers, f"{family}Config")(**sizes, **settings, **extra)
    ).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(family_folder("Llama")).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=f"cannot be used: .*{words}"):
        opened(tmp_path)


def test_a_pad_token_without_an_embedding_is_not_fed(folder):
    tokenizer, rows = AutoTokenizer.from_pretrained(folder), opened(folder).lm.config.vocab_size
    tokenizer.add_special_tokens({"pad_token": "<further>"})
    while tokenizer.pad_token_id < rows:
        tokenizer.add_special_tokens({"pad_token": f"<further {len(tokenizer)}>"})
    tokenizer.save_pretrained(folder)
    llm = opened(folder)
    assert llm.tokenizer.pad_token_id >= rows > llm.pad and llm.pad in llm.stops
    embeds, mask = torch.randn(4, 6, llm.dim, generator=torch.Generator().manual_seed(0)), torch.ones(4, 6)
    told = llm.lm.generate(
        inputs_embeds=embeds, attention_mask=mask.long(), max_new_tokens=6, eos_token_id=llm.tokenizer.vocab_size + 99
    )
    llm.stops = [int(told[0, 1]), int(told[1, 4])]  # ordinary words end some rows
    answers = llm.generate(embeds, mask, 6)
    assert answers == [llm.generate(embeds[row : row + 1], mask[:1], 6)[0] for row in range(4)]


def test_a_tokenizer_without_pad_and_eos_goes_by_the_template_s_end(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = TEMPLATE.replace("{{ eos_token }}", "<bos>").replace("{{ bos_token }}", "")
    tokenizer.pad_token = tokenizer.eos_token = None
    tokenizer.save_pretrained(folder)
    change(folder / "config.json", pad_token_id=None, eos_token_id=None)
    change(folder / "generation_config.json", pad_token_id=None, eos_token_id=None)
    llm = opened(folder)
    assert llm.tokenizer.eos_token_id is None and llm.pad in llm.stops
    assert len(llm.generate(torch.randn(2, 6, llm.dim), torch.ones(2, 6), 3)) == 2


def test_template_tokens_without_an_embedding_are_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"extra_special_tokens": [f"<turn {n}>" for n in range(400 - len(tokenizer) + 2)]})
    tokenizer.chat_template = TEMPLATE.replace("<assistant>", tokenizer.convert_ids_to_tokens(len(tokenizer) - 1))
    tokenizer.save_pretrained(folder)
    with pytest.raises(
        ConfigError, match=r"chat template of .* has no row for: '<turn \d+>' \(\d+\); set llm.chat: plain"
    ):
        opened(folder)
    assert opened(folder, chat="plain").chat.segments([Turn("user", "a"), Turn("assistant", "b")])


def test_a_checkpoint_without_one_of_its_weights_is_refused(folder):
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if "layers.1.self_attn.q_proj" not in name},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(
        ConfigError, match="lacks 1 of the model's weights, such as model.layers.1.self_attn.q_proj.weight"
    ):
        opened(folder)


def test_weights_that_are_cut_short_are_refused(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ConfigError, match="llm.path: .* cannot be loaded"):
        opened(folder)


def test_an_adapter_is_no_model(folder, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    base.name_or_path = base.config._name_or_path = str(folder)
    get_peft_model(base, LoraConfig(target_modules=["q_proj", "v_proj"])).save_pretrained(tmp_path / "adapter")
    AutoTokenizer.from_pretrained(folder).save_pretrained(tmp_path / "adapter")
    change(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=str(folder))
    for tuning in ("none", "lora"):
        with pytest.raises(ConfigError, match="is an adapter.*merged"):
            HFLanguageModel(HFConfig(path=str(tmp_path / "adapter"), dtype="float32", tuning=tuning))


SIZES = dict(vocab_size=320, pad_token_id=0, bos_token_id=1, eos_token_id=2)
WRONG = {  # family -> settings, and what the check at load says
    "FalconH1": (
        LLAMA | dict(mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=8, embedding_multiplier=5.0),
        "",
    ),
    "Mamba": (dict(hidden_size=32, state_size=8, num_hidden_layers=2), ""),
    "Bart": (
        dict(d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48, max_position_embeddings=128),
        "",
    ),
}


@pytest.mark.parametrize("family", WRONG)
def test_logits_that_are_not_the_librarys_are_refused_at_load(family, family_folder, tmp_path):
    """Of any kind: the words scaled on the way in, no cache to drop rows from, positions that padding moves."""
    settings, words = WRONG[family]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(getattr(transformers, f"{family}Config")(**SIZES, **settings))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.25)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(family_folder("Llama")).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=f"llm: .*cannot be used: {words}"):
        opened(tmp_path)


def test_a_head_that_is_not_ours_is_refused(folder, monkeypatch):
    """A family whose logits are scaled by a setting that nobody here knows."""
    from transformers import LlamaForCausalLM

    forward = LlamaForCausalLM.forward

    def capped(self, *args, **kwargs):
        out = forward(self, *args, **kwargs)
        out.logits = torch.tanh(out.logits / 2) * 2
        return out

    monkeypatch.setattr(LlamaForCausalLM, "forward", capped)
    with pytest.raises(ConfigError, match="over embeddings, its logits are not those of transformers"):
        opened(folder)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_check_leaves_no_trace(folder, dtype):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    llm = HFLanguageModel(HFConfig(path=str(folder), dtype=dtype, tuning="none"))
    assert torch.equal(before, torch.get_rng_state()) and all(p.grad is None for p in llm.parameters())


def test_a_tokenizer_of_another_model_is_refused(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([f"word{n}" for n in range(100)])
    tokenizer.save_pretrained(folder)
    with pytest.raises(
        ConfigError, match=r"the tokenizer of .* has \d+ tokens that its embedding of .* has no row for"
    ):
        opened(folder)


def test_weights_of_another_shape_are_refused(folder):
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(16)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="llm.path: .* cannot be loaded"):
        opened(folder)


def test_no_code_of_a_folder_is_asked_for_or_run(folder, monkeypatch):
    change(
        folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    )
    (folder / "own.py").write_text("raise SystemExit('it ran')")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("it asked"))
    with pytest.raises(ConfigError, match="llm.path: .* cannot be loaded"):
        opened(folder)


def test_a_template_that_cannot_take_a_second_turn_is_refused_at_load(folder):
    """Qwen3's: thoughts of earlier answers are left out once there is a later question."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = (
        "{% set last = namespace(user=0) %}{% for m in messages %}{% if m.role == 'user' %}"
        "{% set last.user = loop.index0 %}{% endif %}{% endfor %}{% for m in messages %}<bos>{{ m.role }}\n"
        "{% if m.role == 'assistant' and loop.index0 > last.user %}<think></think>{% endif %}{{ m.content }}<eos>\n"
        "{% endfor %}{% if add_generation_prompt %}<bos>assistant\n<think></think>{% endif %}"
    )
    tokenizer.save_pretrained(folder)
    with pytest.raises(ConfigError, match="rewrites a conversation as it goes on .*set llm.chat: plain"):
        opened(folder)
    assert opened(folder, chat="plain")
