"""An LLM judge behind any OpenAI-compatible endpoint: a score from 0 to 5 for each answer, asked for in two turns (Table 6)."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from anyecg import endpoint
from anyecg.endpoint import Endpoint, EndpointConfig, Reply, Request
from anyecg.fingerprint import fingerprint

log = logging.getLogger(__name__)
Case = TypeVar("Case", bound=Hashable)

LOWEST, HIGHEST = 0.0, 5.0
REPLIES = "judge.sqlite"  # every reply of the endpoint, kept as it comes
JUDGEMENTS = "judgements.jsonl"  # what became of each answer, written when all are judged

# Why an answer has no score.
REFUSED, LATE, GARBLED, EMPTY = "request refused by the endpoint", "no reply in time", "no chat completion", "empty reply"
CUT, NO_NUMBER, SEVERAL = "reply cut before its number", "reply without a number", "reply with several numbers"
OUTSIDE, OTHER_SCALE, IN_PROSE = "number outside 0 to 5", "score on another scale", "number in prose that is not called the score"
NO_REPORT = "ECG without a report to judge by"

_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL | re.IGNORECASE)
_NUMBER = r"(?:(?<![\w.])[-−])?(?<![\w.,])\d+(?:\.\d+)?(?![\w,]*\d|\.\d)"
_SCALE = re.compile(
    r"\b(?:from|between|of)?\s*\(?\b0(?:\.0)?\s*(?:-|–|—|to|and)\s*5(?:\.0)?\b\)?(?!\.\d)|(?:/|\bout\s+of\b)\s*(?:a\s+(?:possible|maximum)\s+)?5(?:\.0+)?(?![\d.]*\d)",
    re.IGNORECASE,
)
_FRACTION = re.compile(r"\d\s*(?:/|\bout\s+of\b)\s*\d|\d\s*%", re.IGNORECASE)
_LABELLED = re.compile(rf"\b(?:score|rating)\b(?:\s+(?:is|of|would\s+be|should\s+be))?\s*[:=]?\s*({_NUMBER})", re.IGNORECASE)
_AROUND = frozenset(  # what may stand around the one number of a reply for it to be the score
    "a an and answer as at be d deserves final for gets give gives grade hence i in is it mark marks my number of on out overall point points "
    "rate rated rating receives response s scale score scored so star stars that the therefore this thus to total would".split()
)
_WORDS = {word: float(value) for value, word in enumerate(("zero", "one", "two", "three", "four", "five"))}


@dataclass(frozen=True)
class Verdict:
    """What a judge made of one answer: a score from 0 to 5, or None and why there is none; what it wrote in each turn."""

    score: float | None
    unjudged: str = ""
    assessment: str = ""
    reply: str = ""


class Judge:
    """The judge of one run: replies and verdicts are kept in the run's folder, so nothing is asked twice.

    Two turns an answer, as the paper's: the question with each ECG's report and the answer, to which the judge writes an
    assessment; then that conversation with a request for the number alone. Killed, or stopped by an endpoint that went
    down (EndpointError), the same call goes on from the replies in `judge.sqlite`. Once all are judged, `judgements.jsonl`
    holds the verdicts, those without a score too; delete it to have these asked again.
    """

    def __init__(self, cfg: EndpointConfig, folder: Path | str, progress: bool = True) -> None:
        self.cfg, self.folder, self.progress = cfg, Path(folder), progress
        self.endpoint = Endpoint(cfg, self.folder / REPLIES)

    def __call__(self, cases: Mapping[Case, tuple[str, str] | None]) -> dict[Case, Verdict]:
        """A verdict for each case; cases: whatever names it -> the judge's two turns, None where there is no report."""
        keys = {case: fingerprint(self.cfg.sampling(), turns, length=64) for case, turns in cases.items() if turns}
        verdicts = self._kept()
        left = {key: cases[case] for case, key in keys.items() if key not in verdicts}
        if left:
            verdicts |= self._asked(left)
            self._keep({key: verdicts[key] for key in keys.values()})
        return {case: verdicts[keys[case]] if turns else Verdict(None, NO_REPORT) for case, turns in cases.items()}

    def _asked(self, turns: Mapping[str, tuple[str, str]]) -> dict[str, Verdict]:
        verdicts, assessed = {}, {}
        openings = [Request(({"role": "user", "content": first},), about=key) for key, (first, _) in turns.items()]
        for reply in self._replies(openings):
            key, text = reply.request.about, _THOUGHT.sub("", reply.text).strip()
            if text:
                assessed[key] = text
            else:
                verdicts[key] = Verdict(None, _missing(reply))
        closings = [
            Request(({"role": "user", "content": turns[key][0]}, {"role": "assistant", "content": text}, {"role": "user", "content": turns[key][1]}), about=key)
            for key, text in assessed.items()
        ]
        for reply in self._replies(closings):
            key = reply.request.about
            score, why = (None, _missing(reply)) if reply.error else read_score(reply.text, reply.finish == "length")
            verdicts[key] = Verdict(score, why, assessed[key], reply.text)
        return verdicts

    def _replies(self, requests: list[Request]) -> Iterable[Reply]:
        return self.endpoint.ask(requests, len(requests), self.progress) if requests else ()

    def _kept(self) -> dict[str, Verdict]:
        """Fingerprint -> verdict of an earlier call; a line that cannot be read is judged again, from the replies."""
        path, found = self.folder / JUDGEMENTS, {}
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                key = row.pop("asked")
                found[key] = Verdict(**row)
            except (ValueError, KeyError, TypeError, AttributeError):
                log.warning("%s, line %d: not a judgement; it is judged again", path, number)
        return found

    def _keep(self, verdicts: Mapping[str, Verdict]) -> None:
        path = self.folder / JUDGEMENTS
        draft = path.with_suffix(".tmp")
        draft.write_text("".join(json.dumps({"asked": key, **asdict(verdict)}) + "\n" for key, verdict in sorted(verdicts.items())), encoding="utf-8")
        os.replace(draft, path)


def read_score(text: str, cut: bool = False) -> tuple[float | None, str]:
    """The score from 0 to 5 that a reply gives, and ""; or None, and why there is none. cut: the reply hit its length limit.

    Read: "4", "4/5", "**Score: 3.5**", "4 out of 5", "On a scale from 0 to 5: 4.", "Four." Not read: two different numbers,
    a number outside the scale or on another one ("8/10", "80 %"), one that speaks of something else ("1 error"), words alone.
    """
    text = _THOUGHT.sub("", text).replace("½", ".5").strip()
    if not text:
        return None, CUT if cut else EMPTY
    word = re.fullmatch(r"\W*([a-z]+)\W*", text, re.IGNORECASE)
    if word and word[1].lower() in _WORDS:
        return _WORDS[word[1].lower()], ""
    rest = re.sub(r"[*_`]|\\boxed", " ", _SCALE.sub(" ", text))
    if cut and re.search(r"\d\W*\Z", rest):
        return None, CUT
    if _FRACTION.search(rest):
        return None, OTHER_SCALE
    labelled, numbers = ({float(found.replace("−", "-")) for found in pattern.findall(rest)} for pattern in (_LABELLED, re.compile(_NUMBER)))
    told = labelled if len(labelled) == 1 else numbers
    if len(told) != 1:
        return None, SEVERAL if told else CUT if cut else NO_NUMBER
    if not labelled and not _AROUND.issuperset(re.findall(r"[^\W\d_]+", rest.lower())):
        return None, IN_PROSE
    score = told.pop()
    return (score, "") if LOWEST <= score <= HIGHEST else (None, OUTSIDE)


def _missing(reply: Reply) -> str:
    """Why a reply has no text."""
    if reply.error:
        return {endpoint.LATE: LATE, endpoint.GARBLED: GARBLED}.get(reply.trouble, REFUSED)
    return CUT if reply.finish == "length" else EMPTY
