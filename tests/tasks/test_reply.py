"""The step before every parser: thoughts, special tokens and markup go, the final answer stays."""

import pytest

from anyecg.tasks.reply import json_value, last_answer, plain_text, without_thoughts


@pytest.mark.parametrize(("text", "plain"), [
    ("<think>one</think>two", "two"), ("<think>one", ""), ("one</think>two", "two"), ("<Thinking>a</Thinking> b <thinking>c</thinking>d", "b d"), ("[THINK]a[/THINK]b", "b"), ("◁think▷a◁/think▷b", "b"),
    ("<reasoning>a</reasoning>b", "b"), ("<|begin_of_thought|>a<|end_of_thought|>b", "b"), ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b", "b"),
    ("<|channel|>analysis<|message|>a", ""), ("a<|im_end|>\n<|im_start|>user\nb", "a"), ("a</s>b", "a"), ("<s> a", "a"), ("assistant: a", "a"), ("<|assistant|>a", "a"), ("a<eos>", "a"),
    ("**a** and *b*, `c`, __d__", "a and b, c, d"), ("# Title\n> quoted", "Title\n> quoted"), ("```json\n{\"a\": 1}\n```", '{"a": 1}'), ("```a```", "a"), ("<b>a</b><br>b", "a\nb"), ("low_voltage", "low_voltage"),
    ("\\boxed{a}", "a"), ("so $\\boxed{\\text{a b}}$.", "a b"), ("\\boxed{a} or \\boxed{b}", "a; b"), ("<answer>a</answer> b", "a"), ("<answer>a</answer><answer>b</answer>", "b"), ("\\[1, 2\\]", "[1, 2]"),
    ("a\n\nQuestion: b?\nAnswer: c", "a"), ("a\nQ: b?\nA: c", "a"), ("a\n### Instruction:\nb\n### Response:\nc", "a"), ("a\n**Question 2:** b?", "a"), ("\nQuestion: b?\nAnswer: a", "Question: b?\nAnswer: a"),
    ("The question is open.\nQuestions remain: b", "The question is open.\nQuestions remain: b"),
    ("1\u22122 1\u20132 1\uff0d2", "1-2 1-2 1-2"), ("a\u2014b", "a - b"), ("a\u200bb\ufeff", "ab"), ("\u201ca\u201d", '"a"'), ("a\u00a0b", "a b"), ("a\uff0cb\u3001c", "a,b,c"), ("&lt;4 &amp; 5", "<4 & 5"), ("* a\n* b", "* a\n* b"),
])  # fmt: skip
def test_a_reply_as_plain_text(text, plain):
    assert plain_text(text) == plain


@pytest.mark.parametrize(("text", "answer"), [
    ("Question: b? Answer: a", "a"), ("Q: b? A: a", "a"), ("The answer is a.", "a."), ("Answer: b. Final answer: a", "a"), ("### Final Answer\na", "a"), ("Answer - a", "a"), ("answer=a", "a"), ("Answer:", "Answer:"),
    ("I do not know what the answer is.", "I do not know what the answer is."), ("b. Wait, a.", "a."), ("b. Actually, no: a", "a"), ("b. Correction: a", "a"), ("b. Let me reconsider. a", "a"), ("b or rather a", "a"),
    ("a. Wait", "a. Wait"), ("a", "a"), ("Answer: -1", "-1"),
])  # fmt: skip
def test_the_last_answer_counts(text, answer):
    assert last_answer(text) == answer


def test_json_of_lists_and_objects_only():
    assert json_value('{"a": [1]}') == {"a": [1]} and json_value("['a']") == ["a"] and json_value("[]") == []
    assert (
        json_value("4") is None
        and json_value("[a]") is None
        and json_value("{") is None
        and json_value("") is None
        and json_value("[" * 5000 + "]" * 5000) is None
    )


def test_thoughts_within_thoughts_and_many_of_them():
    assert without_thoughts("<think>a<think>b</think>c</think>d") == "d"
    assert without_thoughts("<think>" * 3000).strip() == ""
