"""LoRA sits on queries and keys only, trains, and survives saving and loading with its gradients on."""

import pytest
import torch

from anyecg.llms.lora import LoRAConfig, projections, query_key_rows
from anyecg.types import CheckpointError, ConfigError
from tests.llms.families import HEADS, KNOWN, LAYERS, WIDTH

FUSED = ["GPT2", "GPTNeoX", "Bloom"]


def train(llm, steps=4):
    optimizer = torch.optim.AdamW([parameter for _, parameter in llm.tuned()], lr=0.05, weight_decay=0.1)
    llm.train()
    for step in range(steps):
        torch.manual_seed(step)
        (llm.hidden(torch.randn(2, 6, llm.dim), torch.ones(2, 6)) * torch.randn(2, 6, llm.dim)).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return llm.eval()


def answer(llm):
    with torch.inference_mode():
        return llm.hidden(torch.randn(1, 6, llm.dim, generator=torch.Generator().manual_seed(1)), torch.ones(1, 6))


@pytest.mark.parametrize("family", KNOWN)
def test_only_queries_and_keys(load, family):
    llm = load(family)
    before = {name: parameter.clone() for name, parameter in llm.named_parameters()}
    plain = answer(load(family, tuning="none").eval())
    torch.testing.assert_close(answer(llm.eval()), plain)  # B is 0: nothing is changed yet
    projections = 1 if family in FUSED else 2
    assert len(llm.tuned()) == LAYERS * projections * 2
    layers = {name.split(".lora_")[0].rpartition(".")[2] for name, _ in llm.tuned()}
    assert layers in ({"q_proj", "k_proj"}, {"c_attn"}, {"query_key_value"})
    assert {id(p) for _, p in llm.tuned()} == {id(p) for p in llm.parameters() if p.requires_grad}
    train(llm)
    for name, parameter in llm.named_parameters():
        assert torch.equal(parameter, before[name]) == ("lora_" not in name), name
    assert not torch.allclose(answer(llm), plain)


@pytest.mark.parametrize("family", FUSED)
def test_values_of_a_fused_projection_are_untouched(load, family):
    llm = load(family)
    x = torch.randn(1, 3, WIDTH)

    def projected():
        """What each layer's fused projection makes of x: queries, keys, values."""
        outs = []
        for name, module in llm.named_modules():
            if name.endswith(("c_attn", "query_key_value")):
                out = module(x)
                if family == "GPT2":
                    outs.append(out.split(WIDTH, dim=-1))
                else:
                    outs.append(out.view(1, 3, HEADS, 3, WIDTH // HEADS).unbind(dim=3))
        assert len(outs) == LAYERS
        return outs

    llm.eval()
    before = projected()
    train(llm)
    after = projected()
    for old, new in zip(before, after):
        assert not torch.allclose(old[0], new[0]) and not torch.allclose(old[1], new[1])
        assert torch.equal(old[2], new[2])
    rows = query_key_rows(llm.lm.config, projections(llm.lm))[:, 0]
    for name, parameter in llm.tuned():
        if "lora_B" in name:
            assert (parameter[~rows] == 0).all() and (parameter[rows] != 0).any(dim=1).all()


def test_an_unknown_family_names_the_key(load):
    with pytest.raises(ConfigError, match="falcon.*llm.lora.targets.*query_key_value"):
        load("Falcon")
    llm = load("Falcon", lora=LoRAConfig(targets=["query_key_value"]))
    assert len(llm.tuned()) == LAYERS * 2
    with pytest.raises(ConfigError, match="llm.lora.targets: nobody"):
        load("Falcon", lora=LoRAConfig(targets=["nobody"]))


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("family", ["Llama", "GPT2", "GPTNeoX", "Bloom", "OPT"])
def test_what_was_tuned_round_trips_and_stays_trainable(load, tmp_path, family, tuning):
    llm = train(load(family, tuning=tuning))
    llm.save_tuned(tmp_path)
    again = load(family, tuning=tuning)
    again.load_tuned(tmp_path)
    torch.testing.assert_close(answer(again.eval()), answer(llm), atol=0, rtol=0)
    before = [parameter.clone() for _, parameter in again.tuned()]
    assert all(parameter.requires_grad for _, parameter in again.tuned())
    train(again, steps=1)
    moved = [not torch.equal(old, new) for old, (_, new) in zip(before, again.tuned())]
    assert all(moved) if tuning == "lora" else any(moved)
    if tuning == "lora" and family in FUSED:
        rows = query_key_rows(again.lm.config, projections(again.lm))[:, 0]
        assert all((p[~rows] == 0).all() for name, p in again.tuned() if "lora_B" in name)


def test_the_adapter_is_a_peft_folder(load, family_folder, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    llm = train(load("Llama"))
    llm.save_tuned(tmp_path)
    size = sum(file.stat().st_size for file in (tmp_path / "adapter").iterdir())
    assert size < 50_000  # no embeddings in it
    reference = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(family_folder("Llama")), tmp_path / "adapter"
    )
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        expected = reference.eval()(input_ids=ids).logits[0]
        torch.testing.assert_close(llm.head(llm.hidden(llm.embed(ids), torch.ones(1, 3))[0]), expected)


@pytest.mark.parametrize("family", KNOWN)
def test_base_weights_round_trip_past_lora(load, tmp_path, family):
    llm = load(family)
    with torch.no_grad():
        for _, parameter in llm.weights():
            parameter.add_(0.01)
    llm.save_weights(tmp_path)
    again = load(family)
    again.load_weights(tmp_path)
    torch.testing.assert_close(answer(again.eval()), answer(llm.eval()), atol=0, rtol=0)
    assert all(parameter.requires_grad == ("lora_" in name) for name, parameter in again.named_parameters())
    plain = type(llm)(llm.Config(path=str(tmp_path), dtype="float32", tuning="none")).eval()
    torch.testing.assert_close(answer(plain), answer(llm), atol=1e-6, rtol=1e-6)


def test_a_checkpoint_of_another_model_names_the_file(load, tmp_path):
    load("Llama").save_tuned(tmp_path)
    with pytest.raises(CheckpointError, match="adapter_model.safetensors.*names differ"):
        load("GPT2").load_tuned(tmp_path)
    wide = load("Llama", lora=LoRAConfig(r=4))
    with pytest.raises(CheckpointError, match=r"adapter_model.safetensors.*\[8, 32\].*\[4, 32\]"):
        wide.load_tuned(tmp_path)
    with pytest.raises(CheckpointError, match="llm.safetensors"):
        load("Llama", tuning="full").load_tuned(tmp_path)
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"cut short")
    with pytest.raises(CheckpointError, match="adapter_model.safetensors.*cannot be read"):
        load("Llama").load_tuned(tmp_path)
    load("Llama").save_weights(tmp_path)
    with pytest.raises(CheckpointError, match=f"{tmp_path}.*not of this model"):
        load("GPT2").load_weights(tmp_path)


def test_none_tunes_nothing(load, tmp_path):
    llm = load("Llama", tuning="none")
    assert llm.tuned() == [] and not any(parameter.requires_grad for parameter in llm.parameters())
    llm.save_tuned(tmp_path)
    llm.load_tuned(tmp_path)
    assert not any(tmp_path.iterdir())
