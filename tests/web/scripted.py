"""A desk whose model says what a test wants, word by word, and ECGs to ask about."""

import time
from functools import cache
from types import SimpleNamespace

import numpy as np

from anyecg.session import Dialogue, Reading
from anyecg.simulate import ecg
from anyecg.types import CANONICAL_LEADS, DataError, ECGRecord, InputSpec, Turn
from anyecg.web.about import About
from anyecg.web.conversation import Bounds, Desk
from anyecg.web.ecgs import Shown

ABOUT = About("toy", "abc123", simulated=True)


class ScriptedSession:
    """In the place of `Session`: answers by a part of the question; what is asked again gets `blind` and `other`."""

    answers = {"Where": "Duration: 2.0s-3.0s", "lead": "ST elevation in lead V2.", "rate": "The heart rate is 150 bpm."}
    blind, other, pause = "nothing", "something", 0.0

    def __init__(self, model, reading):
        self.model, self.reading, self.dialogue, self.texts = model, reading, Dialogue(), []

    def ask(self, question, ecgs=(), max_new_tokens=256, watch=None):
        if "fail" in question:
            raise DataError("the dialogue is too long")
        if "crash" in question:
            raise RuntimeError("out of memory")
        self.texts.append((question, len(ecgs)))
        answer = next((said for word, said in self.answers.items() if word in question), "Sinus rhythm.")
        said = self._say(answer, watch)
        self.dialogue.turns += [Turn("user", question), Turn("assistant", said)]
        return said

    def ask_again(self, ecgs, max_new_tokens=256, watch=None):
        return self._say(self.blind if ecgs is None else self.other, watch)

    def _say(self, answer, watch):
        words = answer.split()
        for count in range(1, len(words) + 1):
            time.sleep(self.pause)
            if watch and watch(" ".join(words[:count])):
                return " ".join(words[:count])
        return answer


def desk(monkeypatch, session=ScriptedSession, max_ecgs=6, **bounds):
    monkeypatch.setattr("anyecg.web.conversation.Session", session)
    model = SimpleNamespace(encoder=SimpleNamespace(input=InputSpec()))
    return Desk(model, Reading(max_ecgs=max_ecgs), ABOUT, Bounds(**bounds))


@cache
def drawn(findings, seconds, fs, seed):
    return ecg(findings, seconds=seconds, fs=fs, seed=seed)[0]


def record(findings=("sinus_rhythm",), seconds=10.0, seed=3, fs=500.0, leads=CANONICAL_LEADS):
    signal = drawn(tuple(findings), seconds, fs, seed)
    return ECGRecord(signal[[CANONICAL_LEADS.index(lead) for lead in leads]], fs, tuple(leads), "ECG", "")


def spoilt(change, **settings):
    """A record whose signal `change` alters in place."""
    made = record(**settings)
    signal = np.array(made.signal)
    change(signal)
    return ECGRecord(signal, made.fs, made.leads, made.id, made.patient)


@cache
def shown(findings=("sinus_rhythm",), seed=3):
    """An ECG whose measurements are made once for all tests."""
    return Shown(record(findings, seed=seed))
