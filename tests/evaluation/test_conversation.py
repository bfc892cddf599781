"""Conversations: the model's own answers are history, ECGs keep their places, and a script gives the same bytes
again.
"""

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from anyecg.answerers.base import Answerer
from anyecg.answerers.language_model import LanguageModel
from anyecg.config.schema import InputConfig
from anyecg.evaluation.conversation import Script, converse, hold, read_scripts
from anyecg.evaluation.conversation_metrics import grid, yes_or_no
from anyecg.types import ECG_ID, MARKER, ConfigError, DataError, ECGSample, Prediction, Turn, Window
from tests.conftest import Answering, collator, make_item, make_model

SCRIPT = Script("talk", "report", ("Does it show {finding}?", "And how do you know?"))


def opening(i, ecgs=1, evidence="Atrial fibrillation, Left axis deviation"):
    return ECGSample(
        id=f"q{i}",
        task="report",
        records=tuple(Window(f"r{i}-{k}") for k in range(ecgs)),
        patient=f"p{i}",
        conversation=(Turn("user", MARKER * ecgs + " Report?"), Turn("assistant", "Report: the reference")),
        evidence=(evidence,) * ecgs,
    )


class Echo:
    """Says how many turns it was shown; answers a yes/no question by the ECG's evidence."""

    def __init__(self):
        self.calls = []

    def __call__(self, samples, view):
        self.calls.append([list(sample.conversation) for sample in samples])
        for sample in samples[::-1]:
            yes = "atrial fibrillation" in sample.conversation[-1].text
            yield Prediction(sample.id, f"{'Yes' if yes else 'No'}, turn {len(sample.conversation)}")


def test_each_turn_is_asked_with_the_models_own_answers_and_never_the_reference():
    echo, samples = Echo(), [opening(0), opening(1, ecgs=3)]
    held = converse(echo, samples, {"q0": ["a?", "b?"], "q1": ["c?", "d?"]})
    assert len(echo.calls) == 3  # a call a turn, however many conversations
    assert [turn.text for turn in held[1].conversation] == [
        f"{MARKER * 3} Report?", "No, turn 1", "c?", "No, turn 3", "d?", "No, turn 5"]  # fmt: skip
    assert (
        held[1].records == samples[1].records
        and [turn.role for turn in held[0].conversation] == ["user", "assistant"] * 3
    )
    for earlier, later in zip(echo.calls, echo.calls[1:]):
        assert all(after[: len(before)] == before for before, after in zip(earlier, later))
    assert not any("reference" in turn.text for call in echo.calls for turns in call for turn in turns)


@pytest.mark.parametrize("clips", [(1,), (3,), (1, 2, 1)])
def test_history_reaches_the_model(clips):
    """The ids of turn 2 hold the question of turn 1, what was said to it, and the same ECG places."""
    model, item = make_model(), make_item("q", clips)
    collate = collator(model, generate=True)
    first, _ = collate.tokens(item.sample, clips)
    said = "Normal ECG with a premature contraction"
    asked = []

    def answer(samples, view):
        asked.append(collate.tokens(samples[0], clips)[0])
        yield Prediction("q", said)

    (held,) = converse(answer, [item.sample], {"q": ["Where is it?"]})  # noqa: RUF059
    one, two = asked
    assert (
        one == first
        and two[: len(one)] == one
        and two.count(ECG_ID) == one.count(ECG_ID) == sum(map(model.places.inside, clips))
    )
    words = model.llm.tokenizer.decode([id for id in two[len(one) :] if id >= 0])
    assert said in words and "Where is it?" in words and "Sinus rhythm" not in words


def test_a_model_converses_over_stored_ecgs(small_data):
    rows = [
        *small_data.questions.select(pool="report", split="test")[:2],
        *small_data.questions.select(pool="multi_ecg", split="test")[:2],
    ]
    samples = [small_data.questions[int(row)] for row in rows]
    answer = (
        LanguageModel()
        .use(make_model(context=4096).eval(), small_data.stores, InputConfig(), batch_size=4, max_new_tokens=6)
        .answer
    )
    follow_ups = {sample.id: ["Does it show atrial fibrillation?", "Where?"] for sample in samples}
    held = converse(answer, samples, follow_ups)
    assert held == converse(answer, samples, follow_ups)
    for before, after in zip(samples, held):
        assert (
            after.records == before.records
            and [turn.text for turn in after.conversation[2::2]] == follow_ups[before.id]
        )


@pytest.mark.parametrize("view", ["signal", "blind"])
def test_the_turns_of_a_conversation_encode_its_ecgs_once(small_data, view):
    rows = [
        *small_data.questions.select(pool="report", split="test")[:3],
        *small_data.questions.select(pool="multi_ecg", split="test")[:3],
    ]
    samples = [small_data.questions[int(row)] for row in rows]
    model, follow_ups = make_model(context=4096).eval(), {sample.id: ["Where?", "Since when?"] for sample in samples}
    seen = []
    model.encoder.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    asking = partial(LanguageModel().use, model, small_data.stores, InputConfig(), batch_size=4, max_new_tokens=6)
    anew = converse(asking().answer, samples, follow_ups, view)
    every, seen[:] = sum(seen), []
    keeping = asking().conversing().answer
    held = converse(keeping, samples, follow_ups, view)
    assert held == anew and sum(seen) * 3 == every
    seen.clear()
    # another question's ECGs
    (one,) = keeping([replace(sample, records=sample.records[::-1]) for sample in samples[-1:]], view)
    assert sum(seen) == len(samples[-1].records) and one.id == samples[-1].id
    last = held[-1]
    # after a kill
    assert (
        list(asking().conversing().answer(held, view, {sample.id for sample in held[:-1]}))[0].text
        == last.conversation[-1].text
    )


def test_a_script_is_counted_and_the_same_bytes_again(tmp_path):
    samples = {"report": [opening(i) for i in range(40)]}
    report = hold(Answering(Echo()), [SCRIPT], samples, tmp_path, views=["signal"])
    found = report["scripts"]["talk"]["views"]["signal"]
    (first, checked, free) = found["turns"]
    assert first == {"n": 40, "empty": 0, "yes_no": 0} == free and checked["yes_no"] == 40 and checked["unread"] == 0
    truths = Counter(one["turns"][1]["truth"] for one in found["conversations"])
    assert truths["yes"] > 10 and truths["no"] > 10 and 0.5 < checked["accuracy"] < 1  # left axis deviation is denied
    content = (tmp_path / "conversations.json").read_bytes()
    echo = Echo()
    assert (
        hold(Answering(echo), [SCRIPT], samples, tmp_path, views=["signal"]) == json.loads(content) and not echo.calls
    )
    hold(Answering(echo, "other"), [SCRIPT], samples, tmp_path, views=["signal"])
    assert echo.calls
    (tmp_path / "again").mkdir()
    hold(Answering(Echo()), [SCRIPT], samples, tmp_path / "again", views=["signal"])
    assert (tmp_path / "again" / "conversations.json").read_bytes() == content


def test_the_blind_control_stands_beside_the_conversations(tmp_path):
    def answer(samples, view, answered=()):
        for sample in samples:
            yes = view == "signal" and any(
                words.lower() in sample.conversation[-1].text for words in sample.evidence[0].split(", ")
            )
            yield Prediction(sample.id, "Yes" if yes else "No")

    report = hold(Answering(answer), [SCRIPT], {"report": [opening(i) for i in range(40)]}, tmp_path, bootstrap=200)
    script = report["scripts"]["talk"]
    seen, unseen = (script["views"][view]["turns"][1] for view in ("signal", "blind"))
    change, low, high = script["differences"]["blind"]["2"]
    assert (
        seen["accuracy"] == 1
        and 0.2 < unseen["accuracy"] < 0.8
        and change == pytest.approx(1 - unseen["accuracy"])
        and 0 < low < change < high
    )
    (_, row, free) = grid(report).rows
    assert (
        row[:4] == ["talk, turn 2", "40", "40", "1.000"]
        and row[5].startswith(f"+{change:.3f} [")
        and row[6:] == ["0 / 0", "0 / 0"]
    )
    assert free[3:6] == ["–"] * 3
    assert [one["turns"][1]["question"] for one in script["views"]["signal"]["conversations"]] == [
        one["turns"][1]["question"] for one in script["views"]["blind"]["conversations"]]  # fmt: skip


@pytest.mark.parametrize("answers", [0, 7, 10, 25, 47, 60])
def test_killed_in_any_turn_nothing_is_asked_twice_and_the_bytes_are_the_same(tmp_path, answers):
    asked, samples = [], {"report": [opening(i) for i in range(10)]}

    class Resumed(Answerer):
        key = "k"

        def answer(self, samples, view, answered=frozenset()):
            for sample in samples:
                if sample.id not in answered:
                    if len(asked) == left:
                        raise KeyboardInterrupt
                    asked.append((view, sample.id, len(sample.conversation)))
                    yield Prediction(sample.id, f"No, {view}, turn {len(sample.conversation)}")

    def run(folder):
        folder.mkdir(exist_ok=True)
        hold(Resumed(), [SCRIPT], samples, folder, bootstrap=20)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    left = None
    whole = run(tmp_path / "whole")
    assert len(asked) == 60  # ten conversations of three turns in two views
    asked.clear()
    left = answers
    if answers < 60:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed")
        for file in (tmp_path / "killed").rglob("*.jsonl"):
            file.write_bytes(file.read_bytes() + b'{"id": "q3", "ke\xc3')
    else:
        run(tmp_path / "killed")
    left = None
    assert run(tmp_path / "killed") == whole and len(asked) == len(set(asked)) == 60


def test_silence_and_garble_are_counted(tmp_path):
    def answer(samples, view):
        return (Prediction(sample.id, "" if sample.id == "q0" else "\ufffd yes-ish") for sample in samples)

    found = hold(Answering(answer), [SCRIPT], {"report": [opening(0), opening(1)]}, tmp_path)["scripts"]["talk"][
        "views"
    ]
    for view in ("signal", "blind"):
        assert found[view]["turns"][1] == {"n": 2, "empty": 1, "yes_no": 2, "unread": 2, "accuracy": 0.0}


def test_yes_or_no_is_the_first_word():
    assert [yes_or_no(text) for text in ("Yes.", "no, it does not", "Answer: yes", "Nothing", "not sure", "")] == [
        "yes",
        "no",
        "yes",
        "",
        "",
        "",
    ]


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(DataError, match="turn 1: 1 questions stayed without an answer: q0"):
        converse(lambda samples, view: iter(()), [opening(0)], {"q0": ["a?"]})
    with pytest.raises(DataError, match="'talk': there are no questions of task report"):
        hold(Answering(Echo()), [SCRIPT], {}, tmp_path)
    for text, message in (
        ("conversations: 3", "no conversations"),
        ("conversations: [{name: a, opens: report, follow_ups: []}]", "'a'"),
        (f"conversations: [{{name: a, opens: report, follow_ups: ['{MARKER} more']}}]", "'a'"),
        ("conversations: [{name: a, opens: b, follow_ups: [c]}, {name: a, opens: b, follow_ups: [c]}]", "one name"),
    ):
        (tmp_path / "scripts.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_scripts(tmp_path / "scripts.yaml")


def test_the_shipped_scripts_can_be_read():
    scripts = read_scripts("experiments/conversations.yaml")
    assert {script.opens for script in scripts} == {"report", "multi_ecg", "localization"}
