"""What an LLM answers here is what the library answers, whatever the family, batch and padding."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from anyecg.types import ConfigError, DataError
from tests.llms.families import FAMILIES, KNOWN


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_the_librarys(load, family_folder, family):
    llm = load(family, tuning="none").eval()
    reference = AutoModelForCausalLM.from_pretrained(family_folder(family), dtype=torch.float32).eval()
    ids = torch.randint(5, 300, (2, 9))
    mask = torch.ones(2, 9)
    mask[1, 7:] = 0
    embeds = llm.embed(ids)
    assert embeds.shape == (2, 9, llm.dim)
    with torch.inference_mode():
        hidden = llm.hidden(embeds, mask.bool())
        logits = llm.head(hidden[mask.bool()])
        expected = reference(input_ids=ids, attention_mask=mask.long()).logits[mask.bool()]
    assert hidden.shape[:2] == (2, 9)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_left_padding_changes_nothing(load, family):
    llm = load(family, tuning="none").eval()
    lengths, longest = (11, 4, 7), 11
    prompts = [torch.randn(length, llm.dim) for length in lengths]
    embeds, mask = torch.zeros(3, longest, llm.dim), torch.zeros(3, longest, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        embeds[row, longest - len(prompt) :] = prompt
        mask[row, longest - len(prompt) :] = True
    alone = [prompt[None] for prompt in prompts]
    with torch.inference_mode():
        together = llm.hidden(embeds, mask)
        one = [llm.hidden(prompt, torch.ones(prompt.shape[:2])) for prompt in alone]
        answers = llm.generate(embeds, mask, 12)
        assert answers == [llm.generate(prompt, torch.ones(prompt.shape[:2]), 12)[0] for prompt in alone]
    for row in range(3):
        torch.testing.assert_close(together[row, mask[row]], one[row][0], atol=1e-4, rtol=1e-4)
    assert len(set(answers)) > 1


@pytest.mark.parametrize("family", KNOWN)
def test_gradients_reach_the_input_through_a_frozen_model(load, family):
    llm = load(family, tuning="none", gradient_checkpointing=True).train()
    embeds = torch.randn(2, 6, llm.dim, requires_grad=True)
    llm.head(llm.hidden(embeds, torch.ones(2, 6))[:, -1]).square().sum().backward()
    assert (embeds.grad.abs().sum(dim=2) > 0).all()
    assert all(parameter.grad is None for parameter in llm.parameters())


def test_gradient_checkpointing_changes_no_gradient(load):
    gradients = []
    for switch in (False, True, "selective"):
        llm = load("Llama", tuning="full", gradient_checkpointing=switch).train()
        llm.hidden(torch.ones(1, 5, llm.dim), torch.ones(1, 5)).square().sum().backward()
        gradients.append(dict(llm.named_parameters())["model.model.layers.0.self_attn.v_proj.weight"].grad)
    torch.testing.assert_close(*gradients[:2])
    assert torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("family", KNOWN)
def test_a_frozen_model_recomputes_in_eval_mode(load, family):
    """Dropout stays off, and the library's own switch does nothing there: fewer activations are kept, the gradients
    are the same.
    """
    found = []
    for switch in (False, True):
        llm, kept = load(family, tuning="none", gradient_checkpointing=switch).eval(), []
        embeds = torch.randn(2, 6, llm.dim, generator=torch.Generator().manual_seed(0)).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor.numel()) or tensor, lambda tensor: tensor
        ):
            loss = llm.hidden(embeds).square().sum()
        ran = []
        for module in llm.modules():
            if type(module).__name__.endswith("Norm"):
                module.register_forward_hook(lambda *_: ran.append(1))
        loss.backward()
        found.append((sum(kept), len(ran), embeds.grad))
    (kept, again, gradient), (kept_less, recomputed, other) = found
    assert kept_less < 0.6 * kept and again == 0 and recomputed > 0
    torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-5)


def test_bfloat16_weights_take_float32_embeddings(load):
    llm = load("Llama", dtype="bfloat16").eval()
    assert llm.lm.dtype == torch.bfloat16
    assert {parameter.dtype for _, parameter in llm.tuned()} == {torch.float32}
    assert llm.head(llm.hidden(torch.randn(1, 5, llm.dim), torch.ones(1, 5))[0]).dtype == torch.bfloat16
    assert llm.generate(torch.randn(1, 5, llm.dim), torch.ones(1, 5), 3)


def test_generation_stops_at_the_end_token(load):
    llm = load("Llama", tuning="none").eval()
    stop = llm.chat.stop[0]
    # whatever it reads, it ends
    llm.head = lambda hidden: torch.nn.functional.one_hot(torch.full((len(hidden),), stop), len(llm.tokenizer))
    assert llm.generate(torch.randn(2, 4, llm.dim), torch.ones(2, 4), 20) == ["", ""]


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_the_librarys_where_rows_end_at_different_tokens(load, family):
    """Rows that have ended are dropped from the batch, which the library's own loop computes to the last."""
    llm = load(family, tuning="none").eval()
    embeds, mask = (
        torch.randn(6, 9, llm.dim, generator=torch.Generator().manual_seed(3)),
        torch.ones(6, 9, dtype=torch.bool),
    )
    mask[2, :4] = mask[4, :1] = False
    told = llm.lm.generate(
        inputs_embeds=embeds, attention_mask=mask.long(), max_new_tokens=12, eos_token_id=llm.tokenizer.vocab_size + 9
    )
    # so that rows end early and late
    llm.stops = sorted({int(told[0, 1]), int(told[1, 3]), int(told[2, 0]), int(told[3, 6])})
    ids = llm.lm.generate(inputs_embeds=embeds, attention_mask=mask.long(), max_new_tokens=12, eos_token_id=llm.stops)
    texts = [
        text.strip()
        for text in llm.tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    ]
    assert llm.generate(embeds, mask, 12) == texts


def test_what_has_ended_is_no_longer_computed(load):
    llm = load("Llama", tuning="none").eval()
    widths, states = [], llm._states
    llm._states = lambda embeds, mask, **cached: widths.append(len(embeds)) or states(embeds, mask, **cached)
    ends = iter([[0], [1, 2], [], [], []])  # rows, of those left, that end at each step
    stop, other = llm.chat.stop[0], next(id for id in range(len(llm.tokenizer)) if id not in llm.stops)

    def head(hidden):
        token = torch.full((len(hidden),), other)
        token[next(ends)] = stop
        return torch.nn.functional.one_hot(token, len(llm.tokenizer))

    llm.head = head
    llm.generate(torch.randn(4, 3, llm.dim), torch.ones(4, 3), 5)
    assert widths == [4, 4, 1, 1, 1]


@pytest.mark.skipif(not hasattr(torch.nn.functional, "linear_cross_entropy"), reason="torch before 2.15")
def test_a_fused_loss_is_the_same_loss(load):
    llm = load("Llama", tuning="full")
    hidden, targets, found = torch.randn(7, llm.dim), torch.randint(5, 300, (7,)), []
    for fused in (False, True):
        llm.fuse_loss(fused)
        given = hidden.clone().requires_grad_()
        loss = llm.loss(given, targets)
        loss.backward()
        found.append((loss.detach(), given.grad))
    for plain, other in zip(*found):
        torch.testing.assert_close(plain, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["Gemma2", "Cohere", "Granite"])
def test_a_head_that_does_more_is_not_fused(load, family):
    llm = load(family)
    with pytest.raises(ConfigError, match="trainer.fused_loss"):
        llm.fuse_loss()
    llm.fuse_loss(False)


def test_generation_inherits_no_sampling(load, family_folder, tmp_path):
    llm = load("Llama", tuning="none")
    config = llm.lm.generation_config
    assert config.do_sample is False and config.temperature in (None, 1.0) and config.top_p in (None, 1.0)


@pytest.mark.parametrize("family", ["Llama", "GPT2"])
def test_what_does_not_fit_the_context_raises(load, family):
    llm = load(family, tuning="none").eval()
    assert llm.context == 128
    with pytest.raises(DataError, match="129 tokens do not fit into the 128"):
        llm.hidden(torch.zeros(1, 129, llm.dim), torch.ones(1, 129))
    with pytest.raises(DataError, match="130 tokens"):
        llm.generate(torch.zeros(1, 100, llm.dim), torch.ones(1, 100), 30)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": "/no/such/folder"}, "llm.path.*/no/such/folder.*llm=smollm2"),
        ({"tuning": "some"}, "tuning: .*lora, full, none"),
        ({"dtype": "int4"}, "dtype: 'int4' is unknown"),
        ({"chat": "loud"}, "chat: 'loud' is unknown"),
        ({"attention": "none_such"}, "none_such"),
    ],
)
def test_bad_settings_name_their_key(load, settings, message):
    with pytest.raises(ConfigError, match=message):
        load("Llama", **settings)
