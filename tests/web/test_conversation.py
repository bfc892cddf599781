"""A conversation without a page: what is asked, streamed, stopped, checked, and what goes wrong."""

import re

import pytest

from anyecg.session import Reading, Session
from anyecg.types import DataError
from anyecg.web.about import about
from anyecg.web.conversation import Bounds, Conversation, Desk
from anyecg.web.ecgs import Shown
from tests.conftest import make_model
from tests.web.scripted import ABOUT, ScriptedSession, desk, record, shown


@pytest.fixture
def talk(monkeypatch):
    made = Conversation(desk(monkeypatch))
    made.add(shown())
    return made


def last(steps):
    return [*steps][-1]


def test_an_answer_comes_with_all_that_is_to_be_said_of_it(talk):
    done = last(talk.ask("Where is it?"))
    assert done.state == "done" and done.answer == "Duration: 2.0s-3.0s" and done.badge.kind == "looked"
    assert [(span.start, span.end) for span in done.spans] == [(2.0, 3.0)]
    assert last(talk.ask("Which lead?")).leads == ("V2",)
    assert "150 bpm, measured" in last(talk.ask("The rate?")).disagreements[0]
    assert [len(text) > 0 for text, _ in talk.session.texts] == [True] * 3
    assert [count for _, count in talk.session.texts] == [1, 0, 0]


def test_the_badge_can_be_switched_off(talk):
    assert last(talk.ask("Where?", check=False)).badge is None


def test_an_answer_is_written_word_by_word_and_stops(talk, monkeypatch):
    monkeypatch.setattr(ScriptedSession, "answers", {"long": "word " * 400})
    monkeypatch.setattr(ScriptedSession, "pause", 0.02)
    lengths = []
    for exchange in talk.ask("A long one?"):
        lengths.append(len(exchange.answer))
        if len(exchange.answer.split()) > 5:
            talk.stop()
    assert exchange.state == "stopped" and 5 < len(exchange.answer.split()) < 100 and exchange.badge is None
    assert len(set(lengths)) > 1
    assert last(talk.ask("Where?")).state == "done"


def test_an_answer_that_takes_too_long_ends(monkeypatch):
    made = Conversation(desk(monkeypatch, seconds=0.3))
    made.add(shown())
    monkeypatch.setattr(ScriptedSession, "pause", 0.1)
    monkeypatch.setattr(ScriptedSession, "answers", {"long": "word " * 400})
    assert last(made.ask("A long one?")).state == "stopped"


def test_a_caller_that_goes_away_frees_the_model(talk, monkeypatch):
    monkeypatch.setattr(ScriptedSession, "pause", 0.02)
    monkeypatch.setattr(ScriptedSession, "answers", {"long": "word " * 400})
    steps = talk.ask("A long one?")
    next(steps)
    steps.close()
    assert talk.desk.lock.acquire(timeout=1)
    talk.desk.lock.release()


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("", "ask something"),
        ("x" * 3000, "3000 characters"),
        ("What is <ecg>?", "leave <ecg> out"),
        ("fail", "the dialogue is too long"),
        ("crash", r"the model failed \(RuntimeError\)"),
    ],
)
def test_what_goes_wrong_stands_in_the_exchange(talk, question, words):
    failed = last(talk.ask(question))
    assert failed.state == "failed" and re.search(words, failed.error)
    assert last(talk.ask("Where?")).state == "done"


def test_without_an_ecg_nothing_is_asked(monkeypatch):
    assert last(Conversation(desk(monkeypatch)).ask("Where?")).error == "drop an ECG first"


def test_only_one_answer_at_a_time(talk, monkeypatch):
    monkeypatch.setattr(ScriptedSession, "pause", 0.05)
    first = talk.ask("Where?")
    next(first)
    assert "another answer is being written" in last(talk.ask("Where?")).error
    assert last(first).state == "done"


def test_several_ecgs_have_their_dates(monkeypatch):
    made = Conversation(desk(monkeypatch, max_ecgs=2))
    made.add(Shown(record(), "2026-05-01"))
    made.add(Shown(record(seed=4), "2026-05-05"))
    [*made.ask("What changed?")]
    assert made.session.texts == [
        ("ECG 1 (2026-05-01): <ecg>\nECG 2 (2026-05-05, 4 days after the first): <ecg>\nWhat changed?", 2)
    ]
    with pytest.raises(DataError, match="takes 2 ECG"):
        made.add(shown())
    with pytest.raises(DataError, match="is no date"):
        Conversation(desk(monkeypatch)).add(Shown(record(), "yesterday"))


def test_hidden_leads_begin_a_new_dialogue(talk):
    [*talk.ask("Where?")]
    before = talk.session
    hidden = last(talk.ask("Where?", hidden=["V1", "V2"]))
    assert hidden.anew and talk.session is not before and hidden.hidden == ("V1", "V2")
    assert not last(talk.ask("And now?", hidden=["V1", "V2"])).anew
    assert talk.ecgs[0].without({"V1", "V2"}).leads == ("I", "II", "III", "aVR", "aVL", "aVF", "V3", "V4", "V5", "V6")
    assert "every lead is hidden" in last(talk.ask("Where?", hidden=talk.ecgs[0].leads)).error


def test_clearing_forgets_everything(talk):
    [*talk.ask("Where?")]
    talk.clear()
    assert not talk.ecgs and not talk.exchanges and not talk.session.texts


def test_a_real_model_is_asked_blind_and_with_another_ecg():
    session, seen = Session(make_model().eval()), []
    with pytest.raises(DataError, match="nothing was asked"):
        session.ask_again(None)
    answer = session.ask("What is this?", [record()], 6, lambda text: seen.append(text) or False)
    assert seen and seen[-1] == answer
    assert session.ask("And this?", max_new_tokens=6, watch=lambda text: True) is not None
    turns = list(session.dialogue.turns)
    assert session.ask_again([record()], 6) == session.ask_again([record()], 6)
    assert isinstance(session.ask_again(None, 6), str) and session.dialogue.turns == turns
    with pytest.raises(DataError, match="2 ECGs in the place of the 1"):
        session.ask_again([record(), record()])


def test_another_ecg_in_the_place_of_the_first_is_what_asking_about_it_gives():
    model, one, two = make_model().eval(), record(), record(["atrial_fibrillation"])
    session = Session(model)
    session.ask("What is this?", [one], 8)
    assert session.ask_again([two], 8) == Session(model).ask("What is this?", [two], 8)


def test_a_watched_answer_ends_where_it_is_stopped():
    session = Session(make_model().eval())
    whole = session.ask("What is this?", [record()], 12)
    session.restart()
    count = []
    cut = session.ask("What is this?", [record()], 12, lambda text: count.append(text) or len(count) == 3)
    assert len(count) == 3 and whole.startswith(cut)


def test_a_whole_conversation_with_a_real_model():
    made = Conversation(Desk(make_model().eval(), Reading(), ABOUT, Bounds(max_new_tokens=6)))
    made.add(shown())
    done = last(made.ask("Please provide the report for the following ECG."))
    assert done.state == "done" and done.badge is not None


def test_what_is_known_of_a_model(tmp_path):
    (tmp_path / "config.json").write_text('{"experiment": {"corpora": {"ptbxl": {"root": null}}}}')
    told = about(tmp_path)
    assert told.simulated and len(told.id) == 12 and "simulated" in told.caution
    (tmp_path / "config.json").write_text('{"experiment": {"corpora": {"ptbxl": {"root": "ptbxl"}}}}')
    assert not about(tmp_path).simulated and about(tmp_path).id != told.id
    (tmp_path / "config.json").write_text("[]")
    assert about(tmp_path).caution == ""
