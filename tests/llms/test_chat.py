"""A conversation taken apart: the pieces put together are the template's own text, and only answers are learned."""

import pickle

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from anyecg.llms.chat import Chat
from anyecg.llms.tiny import train_tokenizer
from anyecg.types import MARKER, ConfigError, Turn

TALK = (
    Turn("user", "First <ecg> then <ecg>. What changed?"),
    Turn("assistant", "PVC from 3.7s to 4.5s"),
    Turn("user", "And the axis?"),
    Turn("assistant", "normal axis"),
)
TEXTS = [turn.text for turn in TALK] * 20
CHATML = (
    "{% for m in messages %}{% if loop.first %}<user>system\nBe brief.<eos>\n{% endif %}"
    "<user>{{ m.role }}\n{{ m.content | trim }}<eos>\n{% endfor %}{% if add_generation_prompt %}<user>assistant\n{% endif %}"
)
LLAMA2 = (  # an answer led by a space, ended by eos, the generation prompt empty
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<user>' + message['role'] + "
    "'<assistant>\n\n' + message['content'] | trim + '<eos>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
    "{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<user>assistant<assistant>\n\n' }}{% endif %}"
)
# Qwen3: the last answer is led by empty thoughts, which the generation prompt writes when told not to think
THINKING = (
    "{% for m in messages %}<user>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<eos>\n{% endfor %}{% if add_generation_prompt %}<user>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
ENDLESS = (  # no token ends an answer
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
)
REWRITING = "{% for m in messages %}{% if loop.last %}last {% endif %}{{ m.content }}<eos>{% endfor %}"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS, 500, 256)


@pytest.fixture(params=["own", "plain", "vicuna", "chatml", "llama2", "llama3", "endless"])
def chat(request, tokenizer):
    tokenizer = pickle.loads(pickle.dumps(tokenizer))
    templates = {"chatml": CHATML, "llama2": LLAMA2, "llama3": LLAMA3, "endless": ENDLESS}
    tokenizer.chat_template = templates.get(request.param, tokenizer.chat_template)
    return Chat(tokenizer, request.param if request.param in ("plain", "vicuna") else "auto")


def spell(chat, segments):
    return "".join(MARKER if segment.ecg else chat.tokenizer.decode(segment.ids) for segment in segments)


def written(chat, talk, prompt):
    turns = [{"role": turn.role, "content": turn.text} for turn in talk]
    return chat.tokenizer.apply_chat_template(
        turns, chat_template=chat.template, tokenize=False, add_generation_prompt=prompt
    )


def test_pieces_are_the_templates_text(chat):
    whole = spell(chat, chat.segments(TALK))
    assert whole.replace("<eos>\n", "\n") == written(chat, TALK, False).replace("<eos>\n", "\n")
    prompt = spell(chat, chat.segments(TALK, for_generation=True))
    assert prompt.replace("<eos>\n", "\n") == written(chat, TALK[:3], True).replace("<eos>\n", "\n")
    assert whole.startswith(prompt)
    assert chat.segments(TALK[:3], for_generation=True) == chat.segments(TALK, for_generation=True)


def test_every_answer_is_learned_with_its_end(chat):
    answers = [segment for segment in chat.segments(TALK) if segment.answer]
    assert [chat.tokenizer.decode(answer.ids).strip() for answer in answers] == [
        "PVC from 3.7s to 4.5s<eos>",
        "normal axis<eos>",
    ]
    assert chat.stop == [chat.tokenizer.eos_token_id]


def test_a_training_prompt_begins_like_the_one_for_generation(chat):
    """What is learned continues exactly the ids that generation begins with."""
    flat = [id for segment in chat.segments(TALK) for id in (segment.ids or (-1,))]
    prompt = [id for segment in chat.segments(TALK, for_generation=True) for id in (segment.ids or (-1,))]
    assert flat[: len(prompt)] == prompt


def test_ecgs_stand_where_they_are_meant(chat):
    segments = chat.segments(TALK)
    slots = [number for number, segment in enumerate(segments) if segment.ecg]
    assert len(slots) == 2 and chat.tokenizer.decode(segments[slots[0] + 1].ids) == " then "
    assert all(not segments[slot].answer and not segments[slot].ids for slot in slots)


def test_special_names_in_words_are_ordinary_text(chat):
    talk = [Turn("user", "is <eos> or <user> here?"), Turn("assistant", "<eos> no")]
    plain = [Turn("user", "is it or it here?"), Turn("assistant", "it no")]

    def special(talk):
        return sum(id in chat._special for segment in chat.segments(talk) for id in segment.ids)

    assert special(talk) == special(plain)
    assert "is <eos> or <user> here?" in spell(chat, chat.segments(talk))


def test_a_marker_in_an_answer_is_ordinary_text(chat):
    segments = chat.segments([Turn("user", "what?"), Turn("assistant", "an <ecg>")])
    assert not any(segment.ecg for segment in segments)


def test_chat_travels_to_workers(chat):
    assert pickle.loads(pickle.dumps(chat)).segments(TALK) == chat.segments(TALK)


def test_a_template_that_thinks(tokenizer):
    tokenizer = pickle.loads(pickle.dumps(tokenizer))
    tokenizer.chat_template = THINKING
    chat = Chat(tokenizer)
    assert spell(chat, chat.segments(TALK[:2])).endswith(
        "assistant\n<think>\n\n</think>\n\nPVC from 3.7s to 4.5s<eos>\n"
    )
    assert spell(chat, chat.segments(TALK[:1], for_generation=True)).endswith("</think>\n\n")
    with pytest.raises(ConfigError, match="rewrites.*llm.chat: plain"):  # it drops the thoughts of earlier answers
        chat.segments(TALK)


def test_a_template_that_rewrites_raises(tokenizer):
    tokenizer = pickle.loads(pickle.dumps(tokenizer))
    tokenizer.chat_template = REWRITING
    with pytest.raises(ConfigError, match="rewrites.*llm.chat: plain"):
        Chat(tokenizer)
    assert Chat(tokenizer, "plain").segments(TALK)


def test_a_template_that_refuses_raises(tokenizer):
    tokenizer = pickle.loads(pickle.dumps(tokenizer))
    tokenizer.chat_template = "{{ raise_exception('only systems') }}"
    with pytest.raises(ConfigError, match="only systems.*llm.chat: plain"):
        Chat(tokenizer)


def test_a_tokenizer_that_begins_each_piece_with_a_blank():
    """SentencePiece's dummy blank: a conversation is read piece by piece, so that each piece has one, where the
    rendered text has it once.

    It stays: what follows the LLM's own "[INST] " is "▁words" in the rendered text too, which no cut at the blank could
    give. What counts is that training and generation have the same tokens, and that the words are whole.
    """
    words = "sinus rhythm what is this ecg report normal user assistant".split()
    vocabulary = {
        token: id
        for id, token in enumerate(["<unk>", "<s>", "</s>", "▁", *(f"▁{w}" for w in words), *words, *":\nUA."])
    }
    backend = Tokenizer(
        models.Unigram(
            [(token, -1.0 if token.startswith("▁") and len(token) > 1 else -3.0) for token in vocabulary], unk_id=0
        )
    )
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    chat = Chat(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>"))
    turns = [
        Turn("user", f"{MARKER} what is this"),
        Turn("assistant", "sinus rhythm"),
        Turn("user", "is this normal"),
        Turn("assistant", "normal ecg"),
    ]
    ids = lambda pieces: [id for piece in pieces for id in (piece.ids or (-1,))]  # noqa: E731
    trained, asked = ids(chat.segments(turns)), ids(chat.segments(turns, for_generation=True))
    assert trained[: len(asked)] == asked and vocabulary["▁what"] in asked and vocabulary["▁sinus"] in asked
    (answer,) = [piece.ids for piece in chat.segments(turns[:2]) if piece.answer]
    assert (
        chat.tokenizer.decode(answer, skip_special_tokens=True).strip() == "sinus rhythm"
        and answer[-1] == vocabulary["</s>"]
    )
