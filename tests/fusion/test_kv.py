"""Keys and values in every layer: MEIT's arithmetic by hand, both ways in, every family, what is refused."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from anyecg.connectors.kv import KV as Connector
from anyecg.connectors.kv import KVConfig
from anyecg.fusion import kv
from anyecg.fusion.kv import FAMILIES, KV
from anyecg.llms.lora import LoRAConfig
from anyecg.model import ECGLanguageModel
from anyecg.types import ConfigError
from tests.conftest import collator, make_item, make_model
from tests.llms.conftest import family_folder, load  # noqa: F401

A = ["Llama", "Mistral", "Qwen2", "Qwen3", "Gemma", "GPT2", "OPT", "GPTNeoX", "Phi"]
B = ["Bloom", "GPTJ", "GPTNeo"]
LORA = LoRAConfig(r=2, targets=["q_proj", "k_proj", "v_proj", "c_attn", "query_key_value"])
QUESTIONS = [
    ((1,), "yes", "Why?"),
    ((2, 1), "no", "What is that, there?"),
    ((), "no", "Is it?"),
    ((1,), "not", "What?"),
]


class ByCache(KV):
    """The second way, for any family."""

    def __init__(self, cfg, llm, record, clip):
        self.other = dataclasses.replace(FAMILIES[llm.lm.config.model_type], interface=False)
        super().__init__(cfg, llm, record, clip)

    def by_interface(self, llm):
        self.family = self.other
        self.by_cache(llm)


def build(llm, fusion=KV):
    """A model of an LLM's family, whose LoRA does something, as if trained."""
    torch.manual_seed(1)
    encoder = make_model().encoder
    connector = Connector.of(KVConfig(), encoder, llm)
    with torch.no_grad():
        for name, parameter in llm.tuned():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    return ECGLanguageModel(encoder, connector, fusion(KV.Config(), llm, 1, 0), llm).eval()


def stops_of(written):
    """Tokens that end some answers within four tokens while at least one goes on."""
    found = []
    for goes_on in written.values():
        ends = [next((id for id in ids[:4] if id not in goes_on), None) for ids in written.values()]
        found.append([id for id in ends if id is not None])
    return sorted({*max(found, key=len)})


def items():
    return [
        make_item(f"q{n}", clips, answer, question, seed=n) for n, (clips, answer, question) in enumerate(QUESTIONS)
    ]


def states(model, given, **settings):
    batch = collator(model, **settings)(given)
    return model.fusion(model.llm, batch, model.encode(batch))


class Watched:
    """The arguments and the output of an attention module."""

    def __init__(self, module):
        module.register_forward_pre_hook(self.before, with_kwargs=True)
        module.register_forward_hook(self.after)

    def before(self, module, args, kwargs):
        self.given = dict(zip(("hidden_states", "residual"), args)) | kwargs

    def after(self, module, args, out):
        self.out = out[0]


def softmax_over(module, q, K, V, ecg, project, bias, scale):
    """softmax([q k_e / sqrt(h) | q K / sqrt(h) + mask]) [v_e; V] of each query head, one after the other."""
    k_e, v_e = project(module, ecg)  # [B, M, kv heads, h]
    out = torch.zeros_like(q)
    group = q.shape[1] // K.shape[1]
    for row in range(len(q)):
        for head in range(q.shape[1]):
            own = head // group
            to_ecg = q[row, head] @ k_e[row, :, own].T * scale
            to_text = q[row, head] @ K[row, own].T * scale + bias[row, head]
            weights = torch.softmax(torch.cat([to_ecg, to_text], -1), -1)
            out[row, head] = weights @ torch.cat([v_e[row, :, own], V[row, own]], 0)
    return out.transpose(1, 2).flatten(2)


def plain_projections(module, ecg):
    """W_k e and W_v e of the plain matrices, in heads."""
    return tuple(
        F.linear(ecg, layer.weight).unflatten(-1, (-1, module.head_dim)) for layer in (module.k_proj, module.v_proj)
    )


def triangle(batch, heads, t, mask=None):
    bias = torch.full((t, t), float("-inf")).triu(1).expand(batch, heads, t, t).clone()
    if mask is not None:
        bias.masked_fill_(~mask[:, None, None], float("-inf"))
    return bias


@pytest.mark.parametrize("heads", [2, 4])
@pytest.mark.parametrize("padded", [False, True])
def test_the_first_way_is_meits_arithmetic(padded, heads):
    """Llama, two or four key heads under four query heads; e is a unit vector, once for each head; no rotary on it."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    from anyecg.llms.base import LanguageModel, LLMConfig

    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=heads, intermediate_size=48,
        vocab_size=50, attn_implementation="sdpa", initializer_range=0.3,
    )  # fmt: skip
    llm = LanguageModel(LLMConfig(tuning="none"), LlamaForCausalLM(config), None, "llama").eval()
    llm.context = 128
    KV(KV.Config(), llm, 1, 0)
    module = llm.lm.model.layers[1].self_attn
    seen, t = Watched(module), 6
    v = F.normalize(torch.randn(3, 8), dim=-1)
    e = torch.cat([v] * 4, -1)[:, None]  # [B, 1, d]
    mask = torch.ones(3, t, dtype=torch.bool)
    if padded:
        mask[1, :2] = mask[2, :4] = False
    with torch.no_grad():
        llm.hidden(torch.randn(3, t, 32), mask if padded else None, kv.Seen(e, None, True))
        x = seen.given["hidden_states"]
        q, k, v = (
            layer(x).unflatten(-1, (-1, 8)).transpose(1, 2) for layer in (module.q_proj, module.k_proj, module.v_proj)
        )
        q, k = apply_rotary_pos_emb(q, k, *seen.given["position_embeddings"])
        text = softmax_over(module, q, k, v, e, plain_projections, triangle(3, 4, t, mask), 8**-0.5)
        expected = module.o_proj(text)
    torch.testing.assert_close(seen.out, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", B)
def test_the_second_way_is_meits_arithmetic(load, family):  # noqa: F811
    """BLOOM without ALiBi on the ECG, GPT-Neo without scale and with its window on the text alone, GPT-J."""
    llm = load(family, tuning="none").eval()
    fusion = KV(KV.Config(), llm, 1, 0)
    layers, t = llm.layers()[0], 11
    module = layers[1].get_submodule(FAMILIES[llm.lm.config.model_type].attention)
    caught = {}
    own = {"Bloom": "baddbmm", "GPTJ": "_attn", "GPTNeo": "_attn"}[family]
    seen = Watched(module)
    e = torch.cat([F.normalize(torch.randn(2, 1, 8), dim=-1)] * 4, -1)
    bias = triangle(2, 4, t)
    with torch.no_grad():
        if own == "_attn":
            inner = module._attn
            module._attn = lambda *args: caught.update(qkv=args[:3]) or inner(*args)
        fusion._seen = kv.Seen(e, None, False)
        llm.hidden(torch.randn(2, t, 32), None, fusion._seen)
        fusion._seen = None
        if family == "Bloom":
            q, k, v = module._reshape(module.query_key_value(seen.given["hidden_states"]))
            slopes = torch.tensor([2 ** (-8 * (head + 1) / 4) for head in range(4)])
            bias = bias + slopes[None, :, None, None] * torch.arange(t)
            out, project, scale = module.dense, kv.by_head, 8**-0.5
        else:
            q, k, v = caught["qkv"]
            k, v = k[:, :, 1:], v[:, :, 1:]  # behind the ECG's
            out, project, scale = module.out_proj, plain_projections, (8**-0.5 if family == "GPTJ" else 1.0)
        if family == "GPTNeo":
            assert module.attention_type == "local"
            far = torch.arange(t)[:, None] - torch.arange(t) >= llm.lm.config.window_size
            bias = bias.masked_fill(far, float("-inf"))
        expected = out(softmax_over(module, q, k, v, e, project, bias, scale))
        expected = expected + seen.given.get("residual", 0.0)  # which BLOOM adds there
    torch.testing.assert_close(seen.out, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Qwen3", "GPT2", "OPT", "GPTNeoX", "Phi"])
def test_both_ways_have_one_result(load, family):  # noqa: F811
    first, second = build(load(family)), build(load(family), ByCache)
    second.load_state_dict(first.state_dict())
    with torch.no_grad():
        for given in (items(), items()[:1], items()[1:2]):
            torch.testing.assert_close(states(first, given), states(second, given), atol=1e-5, rtol=1e-4)
    ask = collator(first, generate=True)(items())
    assert first.answer(ask, 8) == second.answer(ask, 8)


@pytest.mark.parametrize("family", [*A, *B])
def test_rows_of_a_batch_are_as_alone(load, family):  # noqa: F811
    """Padding on the right, where there is no mask, and answers with padding on the left."""
    model = build(load(family))
    with torch.no_grad():
        together = states(model, items())
        for row, item in enumerate(items()):
            alone = states(model, [item])[0]
            torch.testing.assert_close(together[row, : len(alone)], alone, atol=1e-4, rtol=1e-3)
        ask = collator(model, generate=True)
        batch = ask(items())
        with model.fusion.beside(model.llm, batch, model.encode(batch)) as seen:
            padded = model.llm.hidden(model.embed(batch), batch.attention_mask, seen)
        for row, item in enumerate(items()):
            alone = states(model, [item], generate=True)[0]
            torch.testing.assert_close(padded[row, -len(alone) :], alone, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("family", [*A, *B])
def test_a_cache_changes_nothing_where_rows_were_dropped(load, family):  # noqa: F811
    """Each row's answer is greedy decoding from the whole text anew, with the others in the batch and some of them
    gone.
    """
    model = build(load(family))
    ask, written = collator(model, generate=True), {}
    model.llm.stops = [model.llm.tokenizer.vocab_size + 99]
    with torch.inference_mode():
        for item in items():
            batch, ids = ask([item]), []
            for _ in range(7):
                longer = torch.cat([batch.input_ids, torch.tensor([ids], dtype=torch.long)], 1)
                hidden = model.fusion(model.llm, dataclasses.replace(batch, input_ids=longer), model.encode(batch))
                ids.append(int(model.llm.head(hidden[0, -1:]).argmax()))
            written[item.sample.id] = ids
    model.llm.stops = stops_of(written)
    sizes, head = [], model.llm.head
    model.llm.head = lambda hidden: sizes.append(len(hidden)) or head(hidden)
    answers = model.answer(ask(items()), 7)
    for answer, ids in zip(answers, written.values(), strict=True):
        end = next((n + 1 for n, id in enumerate(ids) if id in model.llm.stops), len(ids))
        text = model.llm.tokenizer.decode(ids[:end], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert answer.text == text.strip()
    assert sizes[0] == 4 and sizes[-1] < 4


@pytest.mark.parametrize("family", [*A, *B])
def test_gradients_reach_the_ecg_and_all_lora_and_recomputing_changes_none(load, family):  # noqa: F811
    found, states_of = [], {}
    for checkpointing in (False, True):
        model = build(load(family, gradient_checkpointing=checkpointing, lora=LORA))
        model.load_state_dict(states_of.setdefault(family, model.state_dict()))
        model.train_only(["encoder", "connector", "llm"])
        model.eval()
        model(collator(model)(items())).backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.requires_grad})
    assert all(gradient is not None for name, gradient in found[0].items() if "lora_" in name)
    assert found[0]["connector.layers.0.weight"].abs().sum() > 0
    for name, gradient in found[0].items():
        if gradient is not None:
            torch.testing.assert_close(gradient, found[1][name], atol=1e-5, rtol=1e-4)


def test_the_cache_counts_the_text_alone(load):  # noqa: F811
    for family in ("Llama", "Bloom"):
        model, lengths = build(load(family)), []
        inner = model.llm._states

        def watched(embeds, mask, inner=inner, lengths=lengths, **given):
            out = inner(embeds, mask, **given)
            lengths.append((out.past_key_values.get_seq_length(), mask.shape[1]))
            return out

        model.llm._states = watched
        model.llm.stops = [10**6]
        model.answer(collator(model, generate=True)(items()[:2]), 3)
        assert len(lengths) == 3 and all(one == other for one, other in lengths)


@pytest.mark.parametrize("family", ["Falcon", "Cohere", "Granite"])
def test_a_family_that_is_not_known_is_refused(load, family):  # noqa: F811
    with pytest.raises(ConfigError, match="fusion: kv knows no key and value projections of the family"):
        KV(KV.Config(), load(family, tuning="none"), 1, 0)


def test_a_family_that_drops_the_ecg_is_refused(load, monkeypatch):  # noqa: F811
    """BLOOM takes any keyword and does nothing with it."""
    known = dataclasses.replace(FAMILIES["bloom"], interface=True)
    monkeypatch.setitem(FAMILIES, "bloom", known)
    monkeypatch.setattr(KV, "by_interface", lambda self, llm: None)
    with pytest.raises(ConfigError, match="kv does not reach the layers of .*'bloom'"):
        KV(KV.Config(), load("Bloom", tuning="none"), 1, 0)


def test_what_else_does_not_go_with_it(load):  # noqa: F811
    with pytest.raises(ConfigError, match="llm.attention: fusion kv goes with sdpa, not with eager"):
        KV(KV.Config(), load("Llama", tuning="none", attention="eager"), 1, 0)
    with pytest.raises(ConfigError, match="choose connector=kv"):
        KV(KV.Config(), load("Llama", tuning="none"), 1, 60)


def test_the_probe_leaves_modes_and_random_numbers_as_they_are(load):  # noqa: F811
    llm = load("Llama").train()
    modes, before = {m: m.training for m in llm.modules()}, torch.get_rng_state()
    KV(KV.Config(), llm, 1, 0)
    assert modes == {m: m.training for m in llm.modules()} and torch.equal(before, torch.get_rng_state())


def test_bfloat16_weights(load):  # noqa: F811
    model, exact = build(load("Llama", dtype="bfloat16")), build(load("Llama"))
    exact.load_state_dict(model.state_dict())
    with torch.no_grad():
        got, expected = states(model, items()[:2]), states(exact, items()[:2])
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), expected, atol=0.15, rtol=0.1)
