"""A conversation about ECGs: questions asked turn by turn, answers as they are written, and what is to be said of them.

It knows nothing of a page. One conversation belongs to one user; the model's lock is shared by all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date as Date
from queue import Empty, SimpleQueue

from anyecg.model import ECGLanguageModel
from anyecg.session import Reading, Session
from anyecg.tasks.multi_ecg.series import ecg_lines
from anyecg.types import AnyECGError, DataError
from anyecg.web.about import About
from anyecg.web.badge import Badge, badge, other_ecg
from anyecg.web.ecgs import Shown
from anyecg.web.said import Span, disagreements, leads, spans

log = logging.getLogger(__name__)

LONGEST_QUESTION = 2000  # characters
TICK = 0.1  # s between two looks at an answer that is being written


@dataclass(frozen=True)
class Bounds:
    """max_new_tokens: of an answer; seconds: that an answer may take; questions: of a conversation."""

    max_new_tokens: int = 256
    seconds: float = 300.0
    questions: int = 200


@dataclass
class Exchange:
    """A question and what came of it.

    state: "waiting" for the model, "writing", "checking" (the badge is being made), "done", "stopped" or "failed";
    hidden: leads the model did not get; anew: whether a new dialogue began with it; ecgs: how many ECGs it is about.
    """

    question: str
    state: str = "waiting"
    answer: str = ""
    error: str = ""
    badge: Badge | None = None
    spans: list[Span] = field(default_factory=list)
    leads: tuple[str, ...] = ()
    disagreements: list[str] = field(default_factory=list)
    hidden: tuple[str, ...] = ()
    anew: bool = False
    ecgs: int = 0
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        return self.state in ("done", "stopped", "failed")


@dataclass(frozen=True)
class Desk:
    """What all conversations share: the model, how it wants its ECGs, what is known of it, and the lock on it."""

    model: ECGLanguageModel
    reading: Reading
    about: About
    bounds: Bounds = field(default_factory=Bounds)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Conversation:
    """The ECGs and exchanges of one user."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.ecgs: list[Shown] = []
        self.exchanges: list[Exchange] = []
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._work: _Work | None = None
        self.restart()

    def restart(self) -> None:
        """Begin a new dialogue with the model over the same ECGs; what was said stays to be read."""
        self.session = Session(self.desk.model, self.desk.reading)
        self._hidden: frozenset[str] = frozenset()
        self._given = 0  # ECGs that the dialogue has

    def clear(self) -> None:
        """Forget everything."""
        self.stop()
        with self._busy:
            self.ecgs, self.exchanges = [], []
            self.restart()

    def add(self, shown: Shown) -> None:
        """One more ECG, for the questions that follow. DataError where there are as many as the model takes, or where
        its date is none.
        """
        if len(self.ecgs) >= self.desk.reading.max_ecgs:
            raise DataError(
                f"this model takes {self.desk.reading.max_ecgs} ECG(s) in one conversation; clear it to begin anew"
            )
        if shown.date:
            try:
                Date.fromisoformat(shown.date)
            except ValueError:
                raise DataError(f"'{shown.date}' is no date; write it as 2026-05-31, or leave it out") from None
        self.ecgs.append(shown)

    def stop(self) -> None:
        """End the answer that is being written; what there is of it stays."""
        self._stop.set()

    def ask(self, question: str, hidden: Sequence[str] = (), check: bool = True) -> Iterator[Exchange]:
        """Ask, and yield the exchange each time that there is more of it; the last time it has ended.

        hidden: leads that are kept from the model; where they are others than before, a new dialogue begins; check:
        whether the badge is made. Nothing is raised: what goes wrong stands in the exchange.
        """
        exchange = Exchange(question.strip(), hidden=tuple(hidden), ecgs=len(self.ecgs))
        if not self._busy.acquire(blocking=False):
            exchange.state, exchange.error = "failed", "another answer is being written; stop it, or wait for it"
            yield exchange
            return
        try:
            self.exchanges.append(exchange)
            self._stop, self._work = threading.Event(), None
            yield from self._asked(exchange, check)
        finally:
            self._stop.set()  # of a caller that went away
            if self._work is not None:
                self._work.join()
            self._busy.release()

    def _asked(self, exchange: Exchange, check: bool) -> Iterator[Exchange]:
        began = time.monotonic()
        try:
            text, ecgs = self._put(exchange)
        except AnyECGError as error:
            exchange.state, exchange.error = "failed", str(error)
            yield exchange
            return
        words = SimpleQueue[str]()
        late = began + self.desk.bounds.seconds

        def watch(answer: str) -> bool:
            words.put(answer)
            return self._stop.is_set() or time.monotonic() > late

        def answer(watch: Callable[[str], bool]) -> str:
            said = self.session.ask(text, ecgs, self.desk.bounds.max_new_tokens, watch)
            self._given, self._hidden = len(self.ecgs), frozenset(exchange.hidden)
            return said

        self._work = work = _Work(self.desk.lock, answer, watch, self._stop)
        while work.going():
            if (newest := _newest(words)) is not None:
                exchange.answer, exchange.state = newest, "writing"
            yield exchange
        if not self._ended(exchange, work):
            yield exchange
            return
        exchange.answer = work.result or ""
        self._read(exchange)
        exchange.seconds = time.monotonic() - began
        if self._stop.is_set() or time.monotonic() > late:
            exchange.state = "stopped"
        elif check and self.ecgs:
            yield from self._checked(exchange)
        else:
            exchange.state = "done"
        yield exchange

    def _put(self, exchange: Exchange) -> tuple[str, list]:
        """The question as the model was trained on it, and the ECGs that go with it."""
        question, hidden = exchange.question, frozenset(exchange.hidden)
        if not question:
            raise DataError("ask something, or choose one of the ready questions")
        if len(question) > LONGEST_QUESTION:
            raise DataError(f"the question has {len(question)} characters; at most {LONGEST_QUESTION} are read")
        if len(self.exchanges) > self.desk.bounds.questions:
            raise DataError(f"{self.desk.bounds.questions} questions in one conversation; clear it to begin anew")
        if not self.ecgs:
            raise DataError("drop an ECG first")
        if "<ecg>" in question.lower():
            raise DataError("leave <ecg> out of the question: the ECGs are put before it")
        if hidden != self._hidden and self._given:
            self.restart()
            exchange.anew = True
        new = [shown.without(hidden) for shown in self.ecgs[self._given :]]
        lines = ecg_lines([shown.date for shown in self.ecgs])[self._given :]
        if len(self.ecgs) > 1 and new and any(shown.date for shown in self.ecgs):
            return "\n".join([*lines, question]), new
        return question, new

    def _ended(self, exchange: Exchange, work: _Work) -> bool:
        """Whether work brought something; otherwise the exchange says why not."""
        if work.error is None and work.result is not None:
            return True
        if work.error is None:  # stopped before its turn
            exchange.state = "stopped"
        elif isinstance(work.error, AnyECGError):
            exchange.state, exchange.error = "failed", str(work.error)
        else:
            log.error("a question failed", exc_info=work.error)
            exchange.state, exchange.error = "failed", f"the model failed ({type(work.error).__name__}); ask again"
        return False

    def _read(self, exchange: Exchange) -> None:
        """What the answer says of the ECGs."""
        exchange.spans = spans(exchange.answer, [shown.seconds for shown in self.ecgs])
        exchange.leads = leads(exchange.answer)
        if len(self.ecgs) == 1:
            exchange.disagreements = disagreements(exchange.answer, self.ecgs[0].measured)

    def _checked(self, exchange: Exchange) -> Iterator[Exchange]:
        """The same question without the ECG and with another one."""
        exchange.state = "checking"
        yield exchange
        others = [other_ecg(min(shown.seconds, self.desk.reading.max_seconds)) for shown in self.ecgs]
        tokens, said = self.desk.bounds.max_new_tokens, []
        for ecgs in (None, others):

            def again(watch, ecgs=ecgs):
                return self.session.ask_again(ecgs, tokens, watch)

            self._work = work = _Work(
                self.desk.lock,
                again,
                lambda _: self._stop.is_set(),
                self._stop,
            )
            while work.going():
                yield exchange
            if work.result is None or self._stop.is_set():
                break
            said.append(work.result)
        if len(said) == 2:
            exchange.badge = badge(exchange.answer, *said)
        exchange.state = "done"


class _Work(threading.Thread):
    """A call of the model in a thread of its own, once the lock is free; `stop` gives it up before it begins."""

    def __init__(
        self,
        lock: threading.Lock,
        call: Callable[[Callable[[str], bool]], str],
        watch: Callable[[str], bool],
        stop: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self.lock, self.call, self.watch, self.stopped = lock, call, watch, stop
        self.result: str | None = None
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            while not self.lock.acquire(timeout=TICK):
                if self.stopped.is_set():
                    return
            try:
                self.result = self.call(self.watch)
            finally:
                self.lock.release()
        except Exception as error:  # noqa: BLE001 - told in the exchange by whoever waits
            self.error = error

    def going(self) -> bool:
        """Wait for a moment; whether it goes on."""
        self.join(TICK)
        return self.is_alive()


def _newest(queue: SimpleQueue[str]) -> str | None:
    """The last of what is in a queue, None where there is nothing."""
    newest = None
    while True:
        try:
            newest = queue.get_nowait()
        except Empty:
            return newest
